/** The doctor names what is missing and how to mend it, finds what crashes have left, and takes that away. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { withSandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

interface Finding {
  readonly area: string;
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly mend?: string;
}

async function examine(box: Sandbox, options: readonly string[] = [], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await box.gantry(["doctor", "--format", "json", ...options], { env });
  assert.match(
    stderr,
    /^(?:warn the shim of a container was killed; cleaning up after it id=[0-9a-f]{64}\n)?$/,
  );
  return { code, findings: JSON.parse(stdout) as readonly Finding[] };
}

const leftOf = (findings: readonly Finding[]) =>
  findings.filter(({ area, status }) => area === "leftovers" && status !== "ok").map(({ name }) => name);

test("a machine that runs containers is told to be well", { skip }, () =>
  withSandbox(async (box) => {
    const { code, findings } = await examine(box);
    assert.deepEqual(
      findings.filter(({ status }) => status === "failed" || status === "left"),
      [],
    );
    assert.equal(code, 0);
    const namespaces = findings.find(({ name }) => name === "namespaces");
    assert.match(namespaces?.detail ?? "", /mount, cgroup, uts, ipc, user, pid, network/);
    const text = await box.must(["doctor"]);
    assert.match(text, /^kernel\n {2}ok {7}version: Linux \d/);
    assert.equal(await box.must(["doctor", "-q"]), "");
    assert.deepEqual(readdirSync(box.root), [], "nothing of the examination stays");
  }),
);

test("what is missing is named with how to mend it, and the status is 1", { skip }, () =>
  withSandbox(async (box) => {
    const lost = await examine(box, [], { GANTRY_EXECUTOR: "/nonexistent/executor" });
    assert.equal(lost.code, 1);
    const [executor] = lost.findings.filter(({ status }) => status === "failed");
    assert.equal(executor?.name, "gantry-executor");
    assert.match(executor?.mend ?? "", /GANTRY_EXECUTOR/);
    const settings = join(box.dir, "settings.json");
    writeFileSync(settings, JSON.stringify({ runtimes: { kata: "/nonexistent/kata" }, diskLimit: "1k" }));
    await box.must(["create", "--name", "x", "nosuch", "true"]).catch(() => {});
    const named = await examine(box, [], { GANTRY_SETTINGS: settings });
    assert.equal(named.code, 1);
    const runtime = named.findings.find(({ name }) => name === "runtime kata");
    assert.deepEqual([runtime?.status, runtime?.detail], ["failed", "/nonexistent/kata cannot be executed"]);
    writeFileSync(settings, "{ no json");
    const broken = await examine(box, [], { GANTRY_SETTINGS: settings });
    assert.match(
      broken.findings.find(({ name }) => name === "settings")?.mend ?? "",
      /^correct .*settings\.json$/,
    );
    assert.equal(broken.code, 1);
  }),
);

test("what crashes have left is found without being touched, and removed by --fix", { skip }, () =>
  withBusybox(async (box) => {
    const killed = async (point: string, args: readonly string[]) =>
      assert.equal((await box.gantry(args, { env: { GANTRY_FAULT: point } })).code, 137, point);
    await killed("create-bundle", ["create", "--name", "half", "busybox"]);
    await killed("start-recorded", ["run", "-d", "--name", "cut", "busybox", "sleep", "600"]);
    await killed("pod-create-name", ["pod", "create", "--name", "web"]);
    await box.must(["pod", "create", "--name", "job"]);
    await box.must(["pod", "start", "job"]);
    await killed("pod-remove-begun", ["pod", "rm", "job"]);
    await box.must(["run", "-d", "--name", "lost", "busybox", "sleep", "600"]);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "lost"]);
    const { shim } = JSON.parse(readFileSync(join(box.state, "containers", id, "start.json"), "utf8")) as {
      shim: number;
    };
    process.kill(shim, "SIGKILL");
    await until("the shim to end", () => !existsSync(`/proc/${shim}/exe`));
    // a name, a snapshot and a temporary file of what is gone
    symlinkSync("f".repeat(64), join(box.root, "names", "ghost"));
    writeFileSync(join(box.root, "containers", id, "container.json.999999999.abcd.tmp"), "");
    const gone = await box.must(["create", "busybox"]);
    await box.must(["rm", gone]);
    const cgroup = join("/sys/fs/cgroup/pids/gantry", gone);
    if (existsSync("/sys/fs/cgroup/pids")) mkdirSync(cgroup);
    const before = await examine(box);
    assert.equal(before.code, 1);
    const left = leftOf(before.findings);
    for (const pattern of [
      /^container [0-9a-f]{12}$/,
      /^pod [0-9a-f]{12}$/,
      /^name ghost$/,
      /^lock /,
      /^file .*\.tmp$/,
      ...(existsSync(cgroup) ? [/^cgroup .*\/gantry\//] : []),
    ])
      assert.ok(
        left.some((name) => pattern.test(name)),
        `${pattern} in ${left.join(", ")}`,
      );
    const reasons = before.findings.filter(({ status }) => status === "left").map(({ detail }) => detail);
    for (const reason of [
      "its shim was killed",
      "its start was cut short",
      "half made or half removed",
      "its removal was cut short",
    ])
      assert.ok(reasons.includes(reason), `${reason}: ${reasons.join("; ")}`);
    assert.deepEqual(
      leftOf((await examine(box)).findings).sort(),
      [...left].sort(),
      "a look changes nothing",
    );
    const fixed = await examine(box, ["--fix"]);
    assert.equal(fixed.code, 0, JSON.stringify(fixed.findings.filter(({ status }) => status === "left")));
    assert.deepEqual(
      new Set(fixed.findings.filter(({ area }) => area === "leftovers").map(({ status }) => status)),
      new Set(["mended"]),
    );
    assert.deepEqual(leftOf((await examine(box)).findings), []);
    assert.equal(existsSync(cgroup), false);
    assert.equal(await box.must(["pod", "ps", "-q"]), "");
    await box.must(["rm", "-f", "lost", "cut"]);
  }),
);

test("a run-time directory whose container was wiped is ended with its processes", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["run", "-d", "busybox", "sleep", "600"]);
    const pid = Number(await box.must(["inspect", "-f", "{{.State.Pid}}", id]));
    const { rmSync } = await import("node:fs");
    rmSync(join(box.root, "containers", id), { recursive: true });
    const { findings } = await examine(box);
    assert.ok(leftOf(findings).some((name) => name.startsWith("run-time directory")));
    assert.ok(leftOf(findings).some((name) => name.startsWith("snapshot")));
    assert.equal((await examine(box, ["--fix"])).code, 0);
    assert.equal(existsSync(`/proc/${pid}/exe`), false);
    assert.deepEqual(readdirSync(join(box.state, "containers")), []);
    assert.deepEqual(leftOf((await examine(box)).findings), []);
  }),
);
