/**
 * The shim's socket and the directories of state (CVE-2020-15257, CVE-2021-41103, CVE-2024-25621, CVE-2021-21284,
 * CVE-2022-23471): root's alone, by mode and by the credentials of who connects.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { must } from "../lib/command.ts";
import { type Sandbox, withSandbox } from "../lib/sandbox.ts";
import { attack, type Cell } from "./cell.ts";

const gantry = join(import.meta.dirname, "../../dist/gantry");
const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);

/** Every file below a folder. */
function all(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    return entry.isDirectory() ? [path, ...all(path)] : [path];
  });
}

async function withContainer(
  cell: Cell,
  body: (box: Sandbox, socket: string, pid: number) => Promise<void>,
): Promise<void> {
  await withSandbox(async (box) => {
    const tar = join(box.dir, "root.tar");
    await must(["tar", "-C", cell.rootfs(), "-cf", tar, "."]);
    await box.must(["import", tar, "cell"]);
    await box.must(["run", "-d", "--name", "cell1", "--stop-signal", "KILL", "cell", "sleep", "60"]);
    try {
      const socket = all(box.state).find((path) => path.endsWith("shim.sock"));
      assert.ok(socket !== undefined, "there is a socket");
      const start = all(box.state).find((path) => path.endsWith("start.json"))!;
      await body(box, socket, JSON.parse(readFileSync(start, "utf8")).pid);
    } finally {
      await box.must(["rm", "-f", "cell1"]);
    }
  });
}

attack(
  "CVE-2020-15257: the shim listens on a path of root's alone, and on no abstract name",
  (cell) =>
    withContainer(cell, async (_, socket) => {
      assert.equal(mode(socket), "600");
      assert.equal(mode(dirname(socket)), "700");
      const names = readFileSync("/proc/net/unix", "utf8")
        .split("\n")
        .filter((line) => / @.*(gantry|shim)/.test(line));
      assert.deepEqual(names, []);
    }),
  gantry,
);

attack(
  "CVE-2020-15257: another user is refused by who it is, even where modes would let it in",
  (cell) =>
    withContainer(cell, async (box, socket) => {
      const probe = join(cell.rootfs(), "probe");
      // a careless administrator opened every door up to the socket
      for (let path = dirname(socket); path.startsWith(box.dir); path = dirname(path)) chmodSync(path, 0o777);
      for (let path = dirname(probe); path.startsWith(cell.dir); path = dirname(path)) chmodSync(path, 0o755);
      chmodSync(socket, 0o666);
      const as = (uid: number) =>
        must(["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", probe, "connect", socket]);
      assert.equal(await as(1000), "connect: ok\nanswer: 12 bytes, closed\n");
      // one frame that says EPERM; root is left waiting for what it asks
      assert.equal(await as(0), "connect: ok\nanswer: 0 bytes, EAGAIN\n");
      assert.match(await box.must(["ps"]), /\bcell1\b/);
    }),
  gantry,
  "setpriv",
);

attack(
  "CVE-2021-41103, CVE-2024-25621, CVE-2021-21284: nobody but root looks into --root or --state",
  (cell) =>
    withContainer(cell, async (box) => {
      for (const dir of [box.root, box.state]) {
        const { uid } = statSync(dir);
        assert.equal(uid, 0);
      }
      // made by the engine where they were not there
      const root = join(box.dir, "new/root");
      const state = join(box.dir, "new/state");
      mkdirSync(dirname(root));
      const program = existsSync(gantry) ? gantry : "gantry";
      await must([program, "--root", root, "--state", state, "ps"]);
      for (const dir of [root, state]) if (existsSync(dir)) assert.equal(mode(dir), "700", dir);
      // whatever the modes above, the layers with their setuid programs and the secrets are behind a 0700
      for (const path of all(box.root).filter((file) => /config\.json$|container\.json$|log/.test(file)))
        assert.equal(Number.parseInt(mode(path), 8) & 0o007, 0, path);
    }),
  gantry,
);

attack(
  "CVE-2020-15257: a container in the host's network reaches no socket of its own or another shim",
  (cell) =>
    withContainer(cell, async (_, socket) => {
      const rootfs = cell.rootfs();
      const { stdout, error } = await cell.run(
        ["/bin/sh", "-c", `/probe connect ${socket}; grep -c @.*shim /proc/net/unix`],
        {
          rootfs,
          options: { network: "host" },
        },
      );
      assert.match(stdout, /^enter: ENOENT\nconnect: ENOENT\nanswer: 0 bytes, \w+\n0\n$/, error);
    }),
  gantry,
);
