/** The entry in C: verbs that it does by itself, what it leaves to the other program, and what a caller gets of it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { childrenOf } from "../lib/children.ts";
import { command, must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { patience, until } from "../lib/until.ts";
import {
  cgroupsPathFor,
  containerId,
  type Json,
  merge,
  type Runtime,
  unready,
  withBundle,
} from "./bundle.ts";

const skip = unready || needs("strace");

/** Programs that a command executes, by their last name. */
async function executed(runtime: Runtime, args: readonly string[], log: string): Promise<readonly string[]> {
  const argv = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", log, runtime.program];
  await must([...argv, "--root", runtime.root, ...args]);
  return [...readFileSync(log, "utf8").matchAll(/execve\("(?:[^"]*\/)?([^"/]+)"/g)].map((match) => match[1]!);
}

async function created(
  patch: Json,
  body: (runtime: Runtime, id: string, files: string) => Promise<void>,
): Promise<void> {
  await withBundle("gantry-oci", "exec sleep 100", patch, async (runtime, bundle) => {
    const id = containerId();
    const { code, stderr } = await runtime.call(["create", "--bundle", bundle.path, id]);
    assert.equal(code, 0, stderr);
    await body(runtime, id, bundle.files);
  });
}

test("the life of a simple container after create starts no other program", { skip }, () =>
  created({}, async (runtime, id, files) => {
    const log = join(files, "trace");
    const more = { start: [], pause: [], state: [], resume: [], kill: ["SIGKILL"], delete: [] };
    for (const [verb, rest] of Object.entries(more)) {
      const stopped = async () => (await runtime.call(["state", id])).stdout.includes('"stopped"');
      if (verb === "delete") await until("the container to stop", stopped);
      assert.deepEqual(await executed(runtime, [verb, id, ...rest], log), ["gantry-oci"], verb);
    }
    assert.ok(!existsSync(join(runtime.root, id)));
  }),
);

test("an exec that was asked for before is not compiled again, and any difference is", { skip }, () =>
  created({}, async (runtime, id, files) => {
    await must([...argvOf(runtime), "start", id]);
    const log = join(files, "trace");
    const file = join(files, "process.json");
    const processOf = (word: string) =>
      JSON.stringify({ cwd: "/", args: ["echo", word], env: ["PATH=/bin"] });
    const exec = async (pidFile: string) => {
      const args = ["exec", "--pid-file", join(files, pidFile), "--process", file, id];
      const programs = await executed(runtime, args, log);
      return {
        compiled: programs.includes("gantry-program"),
        pid: readFileSync(join(files, pidFile), "utf8"),
      };
    };
    writeFileSync(file, processOf("one"));
    const first = await exec("a.pid");
    const second = await exec("b.pid");
    assert.deepEqual([first.compiled, second.compiled], [true, false]);
    assert.match(`${first.pid} ${second.pid}`, /^\d+ \d+$/);
    assert.notEqual(first.pid, second.pid);
    writeFileSync(file, processOf("two"));
    assert.equal((await exec("a.pid")).compiled, true);
    const { stdout } = await runtime.call(["exec", "--process", file, id]);
    assert.equal(stdout, "two\n");
    const programs = await executed(runtime, ["exec", "--env", "A=1", id, "true"], log);
    assert.ok(programs.includes("gantry-program"));
    const limited = await command([
      "sh",
      "-c",
      'ulimit -S -n 99; exec "$@"',
      "sh",
      ...argvOf(runtime),
      "exec",
      id,
      "true",
    ]);
    assert.equal(limited.code, 0, limited.stderr);
  }),
);

test(
  "a kept plan that somebody has changed is checked, and its failure told as ever",
  { skip: unready },
  () =>
    created({}, async (runtime, id) => {
      await must([...argvOf(runtime), "start", id]);
      const call = () => runtime.call(["exec", id, "nope"]);
      const fresh = await call();
      const kept = readdirSync(join(runtime.root, id)).filter((name) => name.endsWith(".plan"));
      assert.equal(kept.length, 1);
      const again = await call();
      assert.deepEqual([again.code, withoutTime(again.stderr)], [255, withoutTime(fresh.stderr)]);
      const path = join(runtime.root, id, kept[0]!);
      const bytes = readFileSync(path);
      const at = bytes.lastIndexOf("GNTP");
      writeFileSync(path, Buffer.concat([bytes.subarray(0, at + 12), bytes.subarray(at + 16)]));
      assert.match((await call()).stderr, /refused plan/);
    }),
);

const argvOf = ({ program, root }: Runtime) => [program, "--root", root];
const withoutTime = (text: string) => text.replace(/time="[^"]*"/, "");

/** Runs one bundle under an id of its own, as a caller does that writes a bundle for each container. */
interface Launcher {
  readonly runtime: Runtime;
  readonly files: string;
  /** Whether the plan was compiled, and what the program printed. */
  launch(
    names: { readonly id: string; readonly layer?: string; readonly config?: Json },
    more?: readonly string[],
  ): Promise<{ readonly compiled: boolean; readonly printed: string }>;
}

/** The runtime as a copy whose other half leaves a mark when it is started. */
function watchedRuntime(runtime: Runtime, files: string, mark: string): Runtime {
  const program = join(files, "bin/gantry-oci");
  mkdirSync(join(files, "bin"));
  copyFileSync(runtime.program, program);
  const other = join(runtime.program, "../gantry-program");
  writeFileSync(
    join(files, "bin/gantry-program"),
    `#!/bin/bash\n: > '${mark}'\nexec -a gantry-oci '${other}' "$@"\n`,
    { mode: 0o755 },
  );
  return { ...runtime, program };
}

const showing = "cat /proc/sys/kernel/hostname /data/file; echo $NAME; cat /proc/self/cgroup | grep -c $NAME";

async function launching(patch: Json, body: (launcher: Launcher) => Promise<void>): Promise<void> {
  await withBundle("gantry-oci", showing, patch, async (runtime, bundle) => {
    const original = JSON.parse(readFileSync(join(bundle.path, "config.json"), "utf8")) as Json;
    const mark = join(bundle.files, "compiled");
    const watched = watchedRuntime(runtime, bundle.files, mark);
    // the state root is there before the first call, so that the call can be noted in it
    mkdirSync(runtime.root, { recursive: true });
    await body({
      runtime,
      files: bundle.files,
      async launch({ id, layer = "0".repeat(64), config = {} }, more = []) {
        const data = join(bundle.files, layer);
        mkdirSync(data, { recursive: true });
        writeFileSync(join(data, "file"), `file of ${layer}\n`);
        const named: Json = {
          hostname: id.slice(0, 12),
          annotations: { "made.by": id, at: new Date().toISOString() },
          process: { env: ["PATH=/bin", `NAME=${id}`] },
          mounts: [
            ...(original.mounts as Json[]),
            { destination: "/data", source: data, options: ["bind", "ro"] },
          ],
          linux: { cgroupsPath: cgroupsPathFor(id) },
        };
        writeFileSync(
          join(bundle.path, "config.json"),
          JSON.stringify(merge(merge(original, named), config)),
        );
        const printed = join(bundle.files, "printed");
        const words = [...argvOf(watched), "run", "--bundle", bundle.path, ...more, id];
        // to a file: the program of a detached run would hold a pipe open
        await command(["sh", "-c", 'exec "$@" > "$0" 2>&1 < /dev/null', printed, ...words]);
        const compiled = existsSync(mark);
        rmSync(mark, { force: true });
        return { compiled, printed: readFileSync(printed, "utf8") };
      },
    });
  });
}

const hex = (seed: string, length = 64) =>
  createHash("sha512").update(`${seed} of ${process.pid}`).digest("hex").slice(0, length);

test(
  "a launch that differs in names from one of before is not compiled, and gets its own names",
  { skip },
  () =>
    launching({}, async ({ launch, runtime }) => {
      const compiled: boolean[] = [];
      for (const name of ["one", "two", "three", "four"]) {
        const id = hex(name);
        const layer = hex(`layer ${name}`);
        const { printed, ...rest } = await launch({ id, layer });
        const groups = printed.trimEnd().split("\n").at(-1);
        assert.equal(printed, `${id.slice(0, 12)}\nfile of ${layer}\n${id}\n${groups}\n`);
        assert.ok(Number(groups) > 0);
        assert.ok(!existsSync(join(runtime.root, id)));
        compiled.push(rest.compiled);
      }
      assert.deepEqual(compiled, [true, true, false, false]);
    }),
);

test("a kept launch has the state, the config and the filter of its own container", { skip }, () =>
  launching(
    {
      process: { args: ["sleep", "100"] },
      linux: {
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["acct"], action: "SCMP_ACT_ERRNO" }],
        },
      },
    },
    async ({ launch, runtime }) => {
      const compiled: boolean[] = [];
      for (const name of ["one", "two", "three"]) {
        const id = hex(name, 20);
        compiled.push((await launch({ id }, ["--detach"])).compiled);
        const state = JSON.parse((await runtime.call(["state", id])).stdout) as Json;
        assert.equal(state.status, "running");
        assert.equal((state.annotations as Json)["made.by"], id);
        const config = JSON.parse(readFileSync(join(runtime.root, id, "config.json"), "utf8")) as Json;
        assert.equal(config.hostname, id.slice(0, 12));
        const full = JSON.parse(readFileSync(join(runtime.root, id, "state.json"), "utf8")) as Json;
        assert.equal((full.descriptors as string[])[0], "/dev/null");
        const { stdout } = await runtime.call(["exec", id, "grep", "Seccomp:", "/proc/self/status"]);
        assert.match(stdout, /2/);
        assert.ok(readFileSync(join(runtime.root, id, "seccomp.filter")).length > 4);
        assert.equal((await runtime.call(["delete", "--force", id])).code, 0);
      }
      assert.deepEqual(compiled, [true, true, false]);
    },
  ),
);

test("whatever else differs is compiled", { skip }, () =>
  launching({}, async ({ launch, files }) => {
    let count = 0;
    const kept = async (config: Json = {}, more: readonly string[] = []) =>
      !(await launch({ id: hex(`${count++}`, 20), config }, more)).compiled;
    for (let round = 0; round < 2; round++) await kept();
    assert.ok(await kept());
    for (const config of [
      { hostname: "other" },
      { process: { args: ["sh", "-c", `${showing}; true`] } },
      { process: { noNewPrivileges: true } },
      { linux: { resources: { pids: { limit: 77 } } } },
    ])
      assert.ok(!(await kept(config)), JSON.stringify(config));
    assert.ok(!(await kept({}, ["--pid-file", join(files, "pid")])));
    assert.ok(!(await kept({}, ["--no-new-keyring"])));
    assert.ok(await kept());
    // an id that may be a word of something else is no name
    assert.ok((await launch({ id: "proc" })).compiled);
    assert.ok((await launch({ id: "proc" })).compiled);
    assert.ok((await launch({ id: "host" })).compiled);
    assert.ok((await launch({ id: "host" })).compiled);
    assert.ok((await launch({ id: "host" })).printed.includes("\nhost\n"));
    assert.ok((await launch({ id: "proc" })).printed.includes("\nproc\n"));
  }),
);

test("the caller's limits are a part of what a plan depends on", { skip: unready }, () =>
  withBundle("gantry-oci", "ulimit -n", {}, async (runtime, bundle) => {
    mkdirSync(runtime.root, { recursive: true });
    const run = async (limit: number) => {
      const argv = [...argvOf(runtime), "run", "--bundle", bundle.path, containerId()];
      return await must(["sh", "-c", `ulimit -S -n ${limit}; exec "$@"`, "sh", ...argv]);
    };
    for (const limit of [111, 111, 111, 222, 111, 222, 222]) assert.equal(await run(limit), `${limit}\n`);
  }),
);

test("a kept plan that is damaged, or lies where others may write, is not used", { skip }, () =>
  launching({}, async ({ launch, runtime }) => {
    const plans = join(runtime.root, ".plans");
    let count = 0;
    const compiled = async () => (await launch({ id: hex(`${count++}`, 20) })).compiled;
    for (let round = 0; round < 2; round++) await compiled();
    assert.ok(!(await compiled()));
    const [name] = readdirSync(plans).filter((entry) => !entry.endsWith(".seen"));
    const path = join(plans, name!);
    const bytes = readFileSync(path);
    const at = bytes.lastIndexOf("GNTP");
    const damaged = Buffer.from(bytes);
    damaged.writeUInt32LE(0xffffffff, at + 32 + 4);
    for (const content of [
      damaged,
      bytes.subarray(0, bytes.length - 9),
      Buffer.alloc(0),
      bytes.subarray(0, 20),
    ]) {
      writeFileSync(path, content);
      await compiled();
      // compiled again, and kept again
      await compiled();
      assert.ok(!(await compiled()));
    }
    chmodSync(plans, 0o777);
    assert.ok(await compiled());
    chmodSync(plans, 0o700);
    assert.ok(!(await compiled()));
    renameSync(plans, `${plans}.other`);
    symlinkSync(`${plans}.other`, plans);
    assert.ok(await compiled());
  }),
);

test("what hooks ask for is left to the other program, and is done", { skip }, () =>
  created({ hooks: { poststart: [{ path: "/bin/true" }] } }, async (runtime, id, files) => {
    const programs = await executed(runtime, ["start", id], join(files, "trace"));
    assert.deepEqual(programs.slice(0, 2), ["gantry-oci", "gantry-program"]);
    assert.equal(programs.at(-1), "true");
  }),
);

test("both ways print the same state", { skip }, () =>
  created({ annotations: { "a@b": 'quote " and\nline', empty: "" } }, async (runtime, id) => {
    const states = await Promise.all(
      [
        ["state", id],
        ["--debug", "state", id],
      ].map(async (args) => (await runtime.call(args)).stdout),
    );
    assert.deepEqual(JSON.parse(states[0]!), JSON.parse(states[1]!));
    assert.deepEqual(states[0]!.split("\n").length, states[1]!.split("\n").length);
  }),
);

test("an id that is a path, and a flag that is not known, are refused as ever", { skip }, () =>
  created({}, async (runtime, id) => {
    const escaped = await runtime.call(["state", `../${runtime.root.split("/").at(-1)}/${id}`]);
    assert.match(escaped.stderr, /invalid container ID format/);
    assert.match((await runtime.call(["kill", "--nope", id])).stderr, /flag provided but not defined: -nope/);
    assert.match((await runtime.call(["kill", id, "NOSIG"])).stderr, /unknown signal .*NOSIG/);
  }),
);

test("the program gets the caller's limit of open files, not that of the compiler", { skip: unready }, () =>
  withBundle("gantry-oci", "ulimit -n", {}, async (runtime, bundle) => {
    const run = [runtime.program, "--root", runtime.root, "run", "--bundle", bundle.path, containerId()];
    const { stdout } = await command(["sh", "-c", 'ulimit -S -n 123; exec "$@"', "sh", ...run]);
    assert.equal(stdout, "123\n");
  }),
);

test("with --debug every step is told before it is taken, up to the filter", { skip: unready }, () =>
  withBundle("gantry-oci", "echo ran", {}, async (runtime, bundle) => {
    const log = join(bundle.files, "log");
    const global = ["--debug", "--log", log, "--log-format", "json"];
    const argv = [...argvOf(runtime), ...global, "run", "--bundle", bundle.path, containerId()];
    assert.equal(await must(argv), "ran\n");
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    const steps = lines.map((line) => JSON.parse(line) as { level: string; msg: string });
    assert.ok(steps.every(({ level }) => level === "debug"));
    const told = steps.map(({ msg }) => msg);
    for (const step of [
      /^host \d+: clone /,
      /^child \d+: pivot \/root$/,
      /^child \d+: exec \/process\/args$/,
    ])
      assert.ok(
        told.some((line) => step.test(line)),
        `${step} in ${told.join("\n")}`,
      );
    const explained = await runtime.call(["explain", bundle.path]);
    assert.match(explained.stdout, /^host +0 /);
  }),
);

test("a signal that ends the command before its plan is there leaves nothing", { skip: unready }, () =>
  withBundle("gantry-oci", "true", {}, async (runtime, bundle) => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const id = containerId();
      const child = spawn(runtime.program, ["--root", runtime.root, "run", "--bundle", bundle.path, id], {
        stdio: "ignore",
        env: { ...process.env, GANTRY_TEST_ENTRY: id },
      });
      const ended = new Promise((resolve) => child.on("exit", resolve));
      const deadline = performance.now() + 10_000 * patience;
      // it is there for a moment only: looked for without pause
      while (childrenOf(child.pid!).length === 0 && performance.now() < deadline)
        await new Promise((resolve) => setImmediate(resolve));
      assert.ok(childrenOf(child.pid!).length > 0, "the compiler came up");
      child.kill(signal);
      await ended;
      await until("nobody to be left", () => processesWith(id).length === 0);
      await runtime.call(["delete", "--force", id]);
      assert.ok(!existsSync(join(runtime.root, id)));
    }
  }),
);

/** Processes of one command, which its environment marks. */
function processesWith(id: string): readonly string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(`GANTRY_TEST_ENTRY=${id}`)
      );
    } catch {
      return false;
    }
  });
}
