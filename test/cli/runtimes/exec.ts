/** Further processes, which the runtime of the container makes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ended } from "../../lib/command.ts";
import type { Sandbox } from "../../lib/sandbox.ts";
import { until } from "../../lib/until.ts";
import { isOver } from "../../shim/reading.ts";
import type { Case, Trial } from "./trial.ts";

/** A container "box" that runs until it is removed. */
async function withContainer({ box, options }: Trial, body: (id: string) => Promise<void>): Promise<void> {
  const id = await box.must([
    ...["run", "-d", "--name", "box", "-e", "B=image", "-w", "/tmp", "-h", "inside", ...options],
    ...["--ulimit", "nofile=99", "busybox", "sleep", "1000"],
  ]);
  try {
    await body(id);
  } finally {
    await box.must(["rm", "-f", "box"]);
  }
}

/** Directories of execs that are there. */
const execsOf = (box: Sandbox, id: string) => readdirSync(join(box.state, "containers", id, "execs"));

/** Processes of an exec, by its start record. */
function startOf(box: Sandbox, id: string, exec: string): { readonly pid: number; readonly shim: number } {
  return JSON.parse(readFileSync(join(box.state, "containers", id, "execs", exec, "start.json"), "utf8"));
}

const listed = (box: Sandbox, words: string) => async () =>
  (await box.must(["exec", "box", "ps"])).includes(words);

export const execs: readonly Case[] = [
  {
    title: "exec: streams apart, stdin to its end, the exit status, and what was asked for",
    run: (trial) =>
      withContainer(trial, async (id) => {
        const { box } = trial;
        const both = await box.gantry(["exec", "box", "sh", "-c", "echo out; echo err >&2; exit 7"]);
        assert.deepEqual([both.stdout, both.stderr, both.code], ["out\n", "err\n", 7]);
        assert.equal((await box.gantry(["exec", "box", "sh", "-c", "kill -TERM $$"])).code, 143);
        const fed = await box.gantry(["exec", "-i", "box", "tr", "a-z", "A-Z"], { stdin: "hello\n" });
        assert.deepEqual([fed.stdout, fed.code], ["HELLO\n", 0]);
        const large = await box.gantry(["exec", "box", "head", "-c", "3000000", "/dev/zero"]);
        assert.equal(large.stdout.length, 3_000_000);
        const facts = "id -u; id -g; pwd; echo $A$B; hostname; ulimit -n; grep Seccomp: /proc/self/status";
        const asked = ["-u", "1000:1001", "-w", "/", "-e", "A=b"];
        assert.equal(
          (await box.must(["exec", ...asked, "box", "sh", "-c", facts])).replaceAll("\t", " "),
          "1000\n1001\n/\nbimage\ninside\n99\nSeccomp: 2",
        );
        assert.match(await box.must(["exec", "-u", "user", "box", "id"]), /^uid=\d+\(user\)/);
        assert.match(
          await box.must(["exec", "box", "cat", "/proc/self/cgroup"]),
          new RegExp(await box.must(["exec", "box", "sed", "-n", "1s/.*://p", "/proc/1/cgroup"])),
        );
        await until("the files of execs to go", () => execsOf(box, id).length === 0);
      }),
  },
  {
    title: "exec of what cannot be run: 127, 126, and the reason in words",
    run: (trial) =>
      withContainer(trial, async (id) => {
        const { box } = trial;
        for (const [args, code, words] of [
          [["nosuch"], 127, /OCI runtime exec failed: .*(not found|no such file)/i],
          [["/no/such"], 127, /OCI runtime exec failed: .*no such file or directory/i],
          [["/etc/passwd"], 126, /OCI runtime exec failed: .*permission denied/i],
        ] as const)
          for (const flags of [[], ["-t"], ["-d"]]) {
            const { code: status, stderr } = await box.gantry(["exec", ...flags, "box", ...args]);
            assert.equal(status, code, stderr);
            assert.match(stderr, words);
          }
        const nowhere = await box.gantry(["exec", "-w", "/nowhere", "box", "true"]);
        assert.notEqual(nowhere.code, 0);
        assert.match(nowhere.stderr, /OCI runtime exec failed: .*\/nowhere/);
        await until("the files of execs to go", () => execsOf(box, id).length === 0);
        await box.must(["pause", "box"]);
        assert.match((await box.gantry(["exec", "box", "true"])).stderr, /is paused, unpause the container/);
        await box.must(["unpause", "box"]);
      }),
  },
  {
    title: "exec -d runs on by itself and is listed; one that is attached ends with its client",
    run: (trial) =>
      withContainer(trial, async (id) => {
        const { box } = trial;
        await box.must(["exec", "-d", "box", "sh", "-c", "echo lost; exec sleep 601"]);
        assert.match(await box.must(["exec", "box", "ps", "-o", "args"]), /sleep 601/);
        assert.equal(await box.must(["inspect", "-f", "{{len .ExecIDs}}", "box"]), "1");
        const client = box.spawn(["exec", "box", "sh", "-c", "echo up; exec sleep 602"]);
        await once(client.stdout!, "data");
        client.kill("SIGKILL");
        await ended(client);
        await until("it to end with its client", async () => !(await listed(box, "sleep 602")()));
        await until("its files to go", () => execsOf(box, id).length === 1);
      }),
  },
  {
    title: "a process whose exec's shim is killed is ended by who looks, attached or not",
    run: (trial) =>
      withContainer(trial, async (id) => {
        const { box } = trial;
        const client = box.spawn(["exec", "box", "sh", "-c", "echo up; exec sleep 603"]);
        await once(client.stdout!, "data");
        const attached = startOf(box, id, execsOf(box, id)[0]!);
        process.kill(attached.shim, "SIGKILL");
        assert.equal(await ended(client), 137);
        await until("its process to end", () => isOver(attached.pid));
        assert.deepEqual(execsOf(box, id), []);
        for (const [words, look] of [
          ["inspect", ["inspect", "box"]],
          ["doctor", ["doctor", "--fix"]],
        ] as const) {
          await box.must(["exec", "-d", "box", "sleep", "604"]);
          const detached = startOf(box, id, execsOf(box, id)[0]!);
          process.kill(detached.shim, "SIGKILL");
          await until("the shim to end", () => isOver(detached.shim));
          await box.gantry(look);
          await until(`its process to end after ${words}`, () => isOver(detached.pid));
          await box.gantry(look);
          assert.deepEqual(execsOf(box, id), [], words);
        }
        assert.equal(await box.must(["inspect", "-f", "{{.State.Status}}", "box"]), "running");
      }),
  },
];
