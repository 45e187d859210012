/** A client that is killed while it commits leaves the container as it was: it runs, or is paused by somebody else. */
import assert from "node:assert/strict";
import test from "node:test";
import { withBusybox } from "../cli/busybox.ts";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");
const points = [
  ...["hold-begun", "commit-held", "commit-opened", "ingest-flushed", "layer-staged", "commit-stored"],
];
const killed = 137;
const rounds = 12;

const status = (box: Sandbox) => box.must(["inspect", "-f", "{{.State.Status}}", "box"]);

async function assertRuns(box: Sandbox, why: string): Promise<void> {
  await until(`the container to go on (${why})`, async () => (await status(box)) === "running");
  assert.equal(await box.must(["exec", "box", "echo", "alive"]), "alive", why);
}

const counter = ["busybox", "sh", "-c", "while :; do date > /now; done"];

test("a commit that is killed at any point lets the container go on", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", ...counter]);
    for (const point of points) {
      const { code } = await box.gantry(["commit", "box", "made"], { env: { GANTRY_FAULT: point } });
      assert.equal(code, killed, point);
      await assertRuns(box, point);
    }
    await box.must(["commit", "box", "made"]);
    await assertRuns(box, "a whole commit");
    await box.must(["rm", "-f", "box"]);
  }),
);

test("and one that is killed at some moment or other", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", ...counter]);
    for (let round = 0; round < rounds; round++) {
      const client = box.spawn(["commit", "box"]);
      const over = ended(client);
      await new Promise((later) => setTimeout(later, round * 8));
      client.kill("SIGKILL");
      await over;
      await assertRuns(box, `round ${round}`);
    }
    await box.must(["rm", "-f", "box"]);
  }),
);

test("a container that somebody has paused stays so, whatever becomes of a commit", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "box", ...counter]);
    await box.must(["pause", "box"]);
    for (const point of points) {
      const { code } = await box.gantry(["commit", "box"], { env: { GANTRY_FAULT: point } });
      assert.equal(code, killed, point);
    }
    await box.must(["commit", "box"]);
    // the shim has heard of every end by the time that it answers another client
    await box.must(["update", "--pids-limit", "50", "box"]);
    assert.equal(await status(box), "paused");
    await box.must(["unpause", "box"]);
    await assertRuns(box, "unpaused");
    await box.must(["rm", "-f", "box"]);
  }),
);

test(
  "two commits at once: the first that is over does not let the container go under the second",
  { skip },
  () =>
    withBusybox(async (box) => {
      await box.must(["run", "-d", "--name", "box", ...counter]);
      const outcomes = await Promise.all(
        Array.from({ length: 4 }, (_, index) => box.gantry(["commit", "box", `made:${index}`])),
      );
      assert.deepEqual(
        outcomes.map(({ code, stderr }) => [code, stderr]),
        Array.from({ length: 4 }, () => [0, ""]),
      );
      await assertRuns(box, "all are over");
      const events = await box.must([
        ...[
          "events",
          "--since",
          "1h",
          "--until",
          "0s",
          "--filter",
          "container=box",
          "--format",
          "{{.Action}}",
        ],
      ]);
      assert.equal(events.match(/^commit$/gm)?.length, 4);
      await box.must(["rm", "-f", "box"]);
    }),
);
