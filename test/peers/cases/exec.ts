/** Further processes in a container, and what is told of those that run. */
import assert from "node:assert/strict";
import { until } from "../../lib/until.ts";
import type { Case } from "../caller.ts";
import { sleeping } from "./containers.ts";

export const execCases: readonly Case[] = [
  {
    name: "exec runs a further process, with its output, input, user, place and status",
    async body(caller) {
      const name = await sleeping(caller);
      const args = ["--interactive", "--user", "user", "--workdir", "/tmp", "--env", "WORD=hi", name];
      const script = "cat; echo $WORD; pwd; id -u; exit 4";
      const done = await caller.call(["exec", ...args, "sh", "-c", script], { stdin: "fed " });
      assert.deepEqual([done.code, done.stdout], [4, "fed hi\n/tmp\n1000\n"], done.stderr);
    },
  },
  {
    name: "exec with a terminal gives a terminal",
    async body(caller) {
      const name = await sleeping(caller);
      const out = await caller.must(["exec", "--tty", name, "sh", "-c", "test -t 1 && echo yes"]);
      assert.match(out, /yes/);
    },
  },
  {
    name: "a detached exec goes on by itself",
    async body(caller) {
      const name = await sleeping(caller);
      await caller.must(["exec", "--detach", name, "sh", "-c", "echo there > /tmp/mark"]);
      await until("the mark of the exec", async () => {
        return (await caller.call(["exec", name, "cat", "/tmp/mark"])).stdout === "there\n";
      });
    },
  },
  {
    name: "exec of what is not there is 127, of what may not run 126",
    async body(caller) {
      const name = await sleeping(caller);
      const missing = await caller.call(["exec", name, "nothing-of-this-name"]);
      // docker 20.10 knows 127 for run alone
      assert.equal(missing.code, caller.peer.name === "docker" ? 126 : 127, missing.stderr);
      assert.match(`${missing.stdout}${missing.stderr}`, /executable file.*not found in \$PATH/);
      const closed = await caller.call(["exec", name, "/etc/passwd"]);
      assert.equal(closed.code, 126, closed.stderr);
      assert.match(`${closed.stdout}${closed.stderr}`, /permission denied/i);
    },
  },
  {
    name: "ten execs at a time in one container",
    async body(caller) {
      const name = await sleeping(caller);
      const runs = Array.from({ length: 10 }, (_, index) =>
        caller.call(["exec", name, "sh", "-c", `echo ${index}; exit ${index}`]),
      );
      for (const [index, { code, stdout, stderr }] of (await Promise.all(runs)).entries())
        assert.deepEqual([code, stdout], [index, `${index}\n`], stderr);
    },
  },
  {
    name: "top lists the processes",
    async body(caller) {
      const name = await sleeping(caller);
      assert.match(await caller.must(["top", name]), /trap 'exit 3' TERM/);
    },
  },
  {
    name: "a health check is run and told",
    async body(caller) {
      const flags = [
        "--health-cmd",
        "test -e /tmp/well || exit 1",
        "--health-interval",
        "1s",
        "--health-retries",
        "1",
      ];
      const name = await sleeping(caller, ...flags);
      const check = () =>
        caller.peer.name === "podman" ? caller.call(["healthcheck", "run", name]) : undefined;
      const member = caller.peer.name === "podman" ? ".State.Healthcheck.Status" : ".State.Health.Status";
      await check();
      await caller.reaches(name, member, "unhealthy");
      await caller.must(["exec", name, "touch", "/tmp/well"]);
      await check();
      await caller.reaches(name, member, "healthy");
    },
  },
];
