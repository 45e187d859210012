/** Starting, ending and removing, as both docker and podman have it. */
import assert from "node:assert/strict";
import { until } from "../../lib/until.ts";
import { type Case, hasKeptPlan } from "../caller.ts";
import { inside, prints, sleeping } from "./containers.ts";

export const lifeCases: readonly Case[] = [
  {
    name: "containers of one kind are not compiled again and again",
    not: { "podman-of-a-user": "plans are kept for root alone" },
    async body(caller) {
      const kept = async () => {
        assert.equal(await prints(caller, ["--env", "KIND=1"], "echo $KIND"), "1");
        return caller.runtime !== "gantry-oci" || (await hasKeptPlan(caller));
      };
      // podman tells the runtime the time, whose digits are more or fewer
      await until("a plan to be kept", kept, 60_000);
    },
  },
  {
    name: "run passes output and exit status through",
    async body(caller) {
      const done = await inside(caller, [], "echo out; echo err >&2; exit 7");
      assert.deepEqual([done.code, done.stdout, done.stderr], [7, "out\n", "err\n"]);
    },
  },
  {
    name: "run feeds stdin through",
    async body(caller) {
      const args = ["--rm", "--interactive", caller.image, "wc", "-c"];
      const done = await caller.run(args, { stdin: "x".repeat(100_000) });
      assert.deepEqual([done.code, done.stdout.trim()], [0, "100000"], done.stderr);
    },
  },
  {
    name: "run with a terminal gives a terminal",
    async body(caller) {
      const out = await prints(caller, ["--tty"], "test -t 0 && test -t 1 && tty");
      assert.match(out, /^\/dev\/(pts\/0|console)\r?$/m);
    },
  },
  {
    name: "a program that is not there is 127, with the runtime's reason",
    async body(caller) {
      const done = await caller.run(["--rm", caller.image, "nothing-of-this-name"]);
      assert.equal(done.code, 127, done.stderr);
      assert.match(done.stderr, /executable file.*not found in \$PATH/);
      const path = await caller.run(["--rm", caller.image, "/no/such/path"]);
      assert.equal(path.code, 127, path.stderr);
      assert.match(path.stderr, /no such file or directory/i);
    },
  },
  {
    name: "a program that may not be executed is 126, with the runtime's reason",
    async body(caller) {
      const file = await caller.run(["--rm", caller.image, "/etc/passwd"]);
      assert.equal(file.code, 126, file.stderr);
      assert.match(file.stderr, /permission denied/i);
      const directory = await caller.run(["--rm", caller.image, "/etc"]);
      assert.equal(directory.code, 126, directory.stderr);
      assert.match(directory.stderr, /permission denied|is a directory/i);
    },
  },
  {
    name: "a container that cannot start leaves no process and can be removed",
    async body(caller) {
      const name = caller.name();
      const done = await caller.run(["--name", name, caller.image, "nothing-of-this-name"]);
      assert.equal(done.code, 127);
      assert.equal(await caller.inspect(name, ".State.Running"), "false");
      await caller.must(["rm", name]);
    },
  },
  {
    name: "a detached container logs, ends and tells its status",
    async body(caller) {
      const name = await caller.detached([caller.image, "sh", "-c", "seq 1 2000; echo bad >&2; exit 9"]);
      assert.equal(await caller.must(["wait", name]), "9");
      const { stdout, stderr } = await caller.call(["logs", name]);
      assert.equal(stdout.trim().split("\n").length, 2000);
      assert.equal(stderr, "bad\n");
      assert.equal(await caller.inspect(name, ".State.ExitCode"), "9");
      assert.equal(await caller.inspect(name, ".State.Status"), "exited");
    },
  },
  {
    name: "create, start, and start again after the end",
    async body(caller) {
      const name = caller.name();
      await caller.must([
        "create",
        "--network",
        "none",
        "--name",
        name,
        caller.image,
        "sh",
        "-c",
        "echo once >> /mark; cat /mark",
      ]);
      await caller.must(["start", name]);
      await caller.must(["wait", name]);
      await caller.must(["start", name]);
      await caller.must(["wait", name]);
      assert.equal(await caller.must(["logs", name]), "once\nonce\nonce");
    },
  },
  {
    name: "kill sends the signal that was named",
    async body(caller) {
      const name = await caller.detached([
        caller.image,
        "sh",
        "-c",
        "trap 'echo got; exit 5' USR1; echo up; while :; do sleep 0.1; done",
      ]);
      await caller.says(name, "up");
      await caller.must(["kill", "--signal", "USR1", name]);
      assert.equal(await caller.must(["wait", name]), "5");
      await caller.says(name, "got");
      const again = await caller.call(["kill", name]);
      assert.notEqual(again.code, 0);
      assert.match(again.stderr, /not running|can only kill running containers/);
    },
  },
  {
    name: "stop asks first and kills after the time",
    async body(caller) {
      const polite = await sleeping(caller);
      await caller.must(["stop", "--time", "20", polite]);
      assert.equal(await caller.inspect(polite, ".State.ExitCode"), "3");
      const deaf = await caller.detached([
        caller.image,
        "sh",
        "-c",
        "trap '' TERM; echo up; while :; do sleep 0.1; done",
      ]);
      await caller.says(deaf, "up");
      await caller.must(["stop", "--time", "1", deaf]);
      assert.equal(await caller.inspect(deaf, ".State.ExitCode"), "137");
    },
  },
  {
    name: "a signal to run in the foreground is meant for the program",
    async body(caller) {
      const name = caller.name();
      // with --rm podman 4.3 may lose the status to its own clean-up; it also takes signals for its own
      // until a moment after the program has started, but ends from none like USR1
      const program = `trap 'exit 3' TERM; trap 'echo heard' USR1; echo up; while :; do sleep 0.1; done`;
      let text = "";
      let knocking: NodeJS.Timeout | undefined;
      const running = caller.run(["--name", name, caller.image, "sh", "-c", program], {
        started: (child) => {
          child.once("exit", () => clearInterval(knocking));
          child.stdout?.on("data", (chunk: Buffer) => {
            const heard = text.includes("heard");
            text += chunk.toString();
            if (text.includes("up")) knocking ??= setInterval(() => child.kill("SIGUSR1"), 100);
            if (heard || !text.includes("heard")) return;
            clearInterval(knocking);
            child.kill("SIGTERM");
          });
        },
      });
      assert.equal((await running).code, 3);
      await caller.must(["rm", name]);
    },
  },
  {
    name: "restart ends one process and starts another",
    async body(caller) {
      const name = await sleeping(caller);
      const before = await caller.inspect(name, ".State.Pid");
      await caller.must(["restart", "--time", "0", name]);
      await caller.reaches(name, ".State.Running", "true");
      assert.notEqual(await caller.inspect(name, ".State.Pid"), before);
    },
  },
  {
    name: "rm --force ends what runs, and its cgroups go",
    async body(caller) {
      const name = await sleeping(caller);
      const pid = await caller.inspect(name, ".State.Pid");
      await caller.must(["rm", "--force", name]);
      await until("the process to be gone", () => {
        try {
          process.kill(Number(pid), 0);
          return false;
        } catch {
          return true;
        }
      });
      assert.notEqual((await caller.call(["inspect", name])).code, 0);
    },
  },
  {
    name: "ten at a time all run and tell their own status",
    async body(caller) {
      const runs = Array.from({ length: 10 }, (_, index) =>
        inside(caller, [], `echo ${index}; exit ${index}`),
      );
      const done = await Promise.all(runs);
      for (const [index, { code, stdout, stderr }] of done.entries())
        assert.deepEqual([code, stdout], [index, `${index}\n`], stderr);
    },
  },
];
