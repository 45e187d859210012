/** What the processes of an exec say on their way into the container comes in its order, however slow one of them is. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs, programPath } from "../lib/needs.ts";
import { Peer, terminalPeer } from "../lib/terminal-peer.ts";
import { unready } from "./bundle.ts";
import { withRunning } from "./running.ts";

const skip = unready || needs(...terminalPeer.needs, "strace");
/** Who has made a process rests, so that the new one is far ahead of the word of it. */
const slowParents = [
  ...[programPath("strace") ?? "", "--follow-forks", "--quiet=all", "--output=/dev/null"],
  ...["--trace=clone3", "--inject=clone3:delay_exit=100000"],
];

test("gantry-oci: the terminal of an exec does not overtake the process that it belongs to", { skip }, () =>
  withRunning("gantry-oci", {}, async ({ runtime, id }) => {
    const exec = [runtime.program, "--root", runtime.root, "exec", "--tty", id, "tty"];
    const drive = ["drive", "012", "40", "120", ...slowParents, ...exec];
    const peer = new Peer(await terminalPeer.build(), drive);
    try {
      await peer.prints(/\/dev\/pts\/0\r\n/);
      assert.deepEqual(await peer.driven(), { status: 0, restored: true });
    } finally {
      peer.end();
    }
  }),
);
