/** A container's own processes against those that join it: what they hold, where they stand, and when they are seen. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readHostFacts } from "../../src/host/facts.ts";
import { namespaces } from "../../src/linux/namespaces.ts";
import { compileExec } from "../../src/plan/compile/exec.ts";
import type { ExecMode } from "../../src/plan/compile/request.ts";
import type { Plan, Step } from "../../src/plan/plan.ts";
import { parseRuntimeConfig } from "../../src/spec/runtime-config.ts";
import { ended } from "../lib/command.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { attack, type Cell, type Ending, type RawConfig, type RunOptions, without } from "./cell.ts";

interface Target {
  /** The plan of an exec in it. */
  plan(args: readonly string[], options?: { cwd?: string; mode?: Partial<ExecMode> }): Plan;
  /** What process 1 printed; ends it, if it has not ended. */
  readonly ending: Promise<Ending>;
}

/** Starts a container in the background and hands it over once its process 1 runs. */
async function target(cell: Cell, args: readonly string[], given: RunOptions = {}): Promise<Target> {
  const state = cell.folder();
  let raw: RawConfig = {};
  const plan = cell.compile(args, {
    ...given,
    mode: { state },
    change: (config) => {
      given.change?.(config);
      raw = config;
    },
  });
  const ending = cell.runPlan(plan, 30_000);
  const text = await until("a state", () => {
    try {
      return readFileSync(join(state, "state.json"), "utf8");
    } catch {
      return undefined;
    }
  });
  const { pid, pidStart, cgroups } = JSON.parse(text) as {
    pid: number;
    pidStart: number;
    cgroups: ExecMode["cgroups"];
  };
  await until(
    "process 1 to run",
    () => !readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("gantry-executor"),
  );
  return {
    ending,
    plan: (own, options = {}) =>
      compileExec({
        id: "c",
        filter: undefined,
        config: parseRuntimeConfig(
          JSON.stringify({ ...raw, process: { ...raw.process, args: own, cwd: options.cwd ?? "/" } }),
        ),
        bundle: "/",
        facts: readHostFacts(),
        mode: { kind: "exec", init: { pid, start: pidStart }, cgroups, foreground: true, ...options.mode },
      }),
  };
}

/** A plan whose child rests after a step, in sight of whoever looks. */
function resting(plan: Plan, after: (step: Step) => boolean): Plan {
  const index = plan.child.findIndex(after);
  assert.ok(index >= 0);
  const rest: Step = {
    op: "run-hook",
    where: "",
    path: "/bin/sleep",
    args: ["sleep", "0.3"],
    env: [],
    state: "{}",
    timeoutMs: 0,
  };
  return { ...plan, child: [...plan.child.slice(0, index + 1), rest, ...plan.child.slice(index + 1)] };
}

const born = (step: Step) => step.op === "fork-again";
const tracer: RunOptions = { options: { capAdd: ["SYS_PTRACE"] } };

attack(
  "CVE-2016-9962: a process on its way in shows nothing to the container's own processes",
  async (cell) => {
    const { plan, ending } = await target(cell, ["/probe", "lurk", "15000"]);
    const { code, error } = await cell.runPlan(resting(plan(["/bin/true"]), born));
    assert.equal(code, 0, error);
    const { stdout } = await ending;
    assert.match(stdout, /^seen some$/m);
    assert.doesNotMatch(stdout, /^(root|descriptor)/m);
  },
);

attack(
  "CVE-2016-9962: who may trace it finds the container's root and nothing of the host's",
  async (cell) => {
    const { plan, ending } = await target(cell, ["/probe", "lurk", "15000"], tracer);
    const { code, error } = await cell.runPlan(resting(plan(["/bin/true"]), born));
    assert.equal(code, 0, error);
    const { stdout } = await ending;
    assert.match(stdout, /^root own$/m);
    assert.doesNotMatch(stdout, /^root foreign$/m);
    const led = new Set(
      [...stdout.matchAll(/^descriptor (\d+) (.*)$/gm)].map(([, fd, path]) =>
        Number(fd) < 3 ? "stdio" : path,
      ),
    );
    led.delete("stdio");
    for (const path of led) assert.match(path!, /^(socket|pipe|anon_inode):/, stdout);
  },
);

attack("the attack is real: born before it has joined, it would lend them the host's root", async (cell) => {
  const { plan, ending } = await target(cell, ["/probe", "lurk", "15000"], tracer);
  const sound = plan(["/bin/true"]);
  const { pid } = namespaces;
  const early: Step = { op: "join-namespace", where: "", fd: "init", kind: pid.cloneFlag };
  const unsound: Plan = {
    ...sound,
    host: sound.host.flatMap((step): Step[] =>
      step.op === "clone" ? [early, step] : step.op === "adopt-child" ? [] : [step],
    ),
    child: sound.child.flatMap((step): Step[] =>
      step.op === "join-namespace"
        ? [{ ...step, kind: Number(step.kind) & ~pid.cloneFlag }]
        : step.op === "fork-again"
          ? []
          : [step],
    ),
  };
  const { code, error } = await cell.runPlan(resting(unsound, (step) => step.op === "set-death-signal"));
  assert.equal(code, 0, error);
  assert.match((await ending).stdout, /^root foreign$/m);
});

attack("the attack is real: what it did not close would lead to the host", async (cell) => {
  const { plan, ending } = await target(cell, ["/probe", "lurk", "15000"], tracer);
  const careless = without("close-others")(plan(["/bin/true"]));
  const { code, error } = await cell.runPlan(resting(careless, born));
  assert.equal(code, 0, error);
  assert.match((await ending).stdout, /^descriptor \d+ \/[^ ]*cell|^descriptor \d+ \/.*attack-/m);
});

attack("CVE-2024-21626: no working directory below /proc/self/fd is a way out of the root", async (cell) => {
  const canary = join(cell.dir, "canary");
  writeFileSync(canary, "of the host");
  const { plan, ending } = await target(cell, ["/bin/sleep", "4"]);
  const script = `pwd; for up in . .. ../.. ../../../.. ../../../../../../..; do cat $up${canary} $up/etc/shadow; done`;
  for (let fd = 0; fd <= 20; fd++)
    for (const cwd of [`/proc/self/fd/${fd}`, `/bin/../proc/thread-self/fd/${fd}/..`]) {
      const { code, stdout, error, pointer } = await cell.runPlan(plan(["/bin/sh", "-c", script], { cwd }));
      assert.doesNotMatch(stdout, /of the host|root:/, cwd);
      if (code === undefined) assert.equal(pointer, "/process/cwd", `${cwd}: ${error}`);
      else assert.match(stdout, /^\/$/m, `${cwd} led to ${stdout}`);
    }
  await ending;
});

attack("a pid that is another process's by now is not joined", async (cell) => {
  const { plan, ending } = await target(cell, ["/bin/sleep", "1"]);
  const { start, pid } = plan(["/bin/true"]).host[0] as { start: number; pid: number };
  const { error } = await cell.runPlan(plan(["/bin/true"], { mode: { init: { pid, start: start + 1 } } }));
  assert.match(error, /cannot exec in a stopped container: process \d+: no such process/);
  await ending;
});

/** The command line, with a container that sleeps and descriptors of the caller from 3 on. */
async function withCommand(
  cell: Cell,
  body: (exec: (args: readonly string[], fds: readonly number[]) => Promise<Ending>) => Promise<void>,
): Promise<void> {
  const [root, id] = [cell.folder(), cell.next()];
  const call = async (args: readonly string[], fds: readonly number[] = []): Promise<Ending> => {
    const child = spawn(gantryOciProgram, ["--root", root, ...args], {
      stdio: ["ignore", "pipe", "pipe", ...fds],
      env: { GANTRY_TEST_DIR: cell.dir },
    });
    const texts = ["", ""];
    child.stdout!.on("data", (chunk) => (texts[0] += chunk));
    child.stderr!.on("data", (chunk) => (texts[1] += chunk));
    return { code: await ended(child), stdout: texts[0]!, stderr: texts[1]!, error: "", pointer: "", op: "" };
  };
  const { code, stderr } = await call(["run", "-d", "--bundle", cell.bundle(id, ["/bin/sleep", "100"]), id]);
  assert.equal(code, 0, stderr);
  try {
    await body((args, fds) => call(["exec", ...args.map((arg) => (arg === "ID" ? id : arg))], fds));
  } finally {
    await call(["delete", "--force", id]);
  }
}

attack("CVE-2024-21626: what the caller holds open reaches the program only where it is asked for", (cell) =>
  withCommand(cell, async (exec) => {
    const held = cell.folder();
    mkdirSync(join(held, "inner"));
    const outside = openSync(held, "r");
    const fds = [outside, outside, outside];
    try {
      const none = await exec(["ID", "/probe", "descriptors"], fds);
      assert.equal(none.code, 0, none.stderr);
      assert.doesNotMatch(none.stdout, /^([3-9]|\d\d+) /m);
      const kept = await exec(["--preserve-fds", "2", "ID", "/probe", "descriptors"], fds);
      assert.match(kept.stdout, /^4 /m);
      assert.doesNotMatch(kept.stdout, /^([5-9]|\d\d+) /m);
      for (const cwd of ["/proc/self/fd/3", "/proc/self/fd/4/inner", "/proc/self/fd/3/.."]) {
        const { code, stderr } = await exec(["--preserve-fds", "2", "--cwd", cwd, "ID", "/bin/pwd"], fds);
        assert.equal(code, 255, cwd);
        assert.match(stderr, /chdir to cwd .* failed: .* is outside of the root/, cwd);
      }
    } finally {
      closeSync(outside);
    }
  }),
);

attack("CVE-2019-5736: a program that is the runtime itself can neither be written nor do anything", (cell) =>
  withCommand(cell, async (exec) => {
    const { code, stderr } = await exec(["ID", "/proc/self/exe", "plan", "0"], []);
    assert.notEqual(code, 0);
    assert.match(stderr, /gantry-executor/);
    const { stdout } = await exec(["ID", "/bin/sh", "-c", "/probe watch 500 & sleep 0.1; wait"], []);
    assert.match(stdout, /^written 0$/m);
  }),
);
