/**
 * kill -9 of whoever makes, starts, stops or removes a pod, at every point and at random moments: afterwards the pod is
 * ready as a whole or holds nothing, the next look finds out which, and removing it leaves nothing.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { withBusybox } from "../cli/busybox.ts";
import { childrenOf } from "../lib/children.ts";
import { needs } from "../lib/needs.ts";
import { type Sandbox, withSandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");
const killed = 137;

/** Mounts of the host below the state of a sandbox. */
function pins(box: Sandbox): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(box.state));
}

function cgroupsOf(id: string): readonly string[] {
  const below = (dir: string): readonly string[] =>
    readdirSync(dir, { withFileTypes: true })
      .filter((one) => one.isDirectory())
      .flatMap((one) => [join(dir, one.name), ...(one.name === "gantry" ? below(join(dir, one.name)) : [])]);
  const tops = readdirSync("/sys/fs/cgroup", { withFileTypes: true }).filter((one) => one.isDirectory());
  return tops.flatMap((one) => below(join("/sys/fs/cgroup", one.name))).filter((path) => path.includes(id));
}

async function stateOf(box: Sandbox): Promise<string> {
  return await box.must(["pod", "inspect", "-f", "{{.Sandbox.State}}", "web"]);
}

/** What the state says must be so. */
async function assertTruth(box: Sandbox, id: string): Promise<string> {
  const state = await stateOf(box);
  if (state === "ready") {
    assert.deepEqual(
      pins(box)
        .map((path) => path.slice(join(box.state, "pods", id).length + 1))
        .sort(),
      ["ns/ipc", "ns/net", "ns/uts", "shm"],
    );
    assert.ok(cgroupsOf(id).length > 0);
  } else {
    assert.deepEqual(pins(box), []);
    assert.deepEqual(cgroupsOf(id), []);
    assert.equal(existsSync(join(box.state, "pods", id)), false);
  }
  return state;
}

async function assertNothing(box: Sandbox): Promise<void> {
  await box.must(["pod", "rm", "-f", "-t", "0", "-a"]);
  const places = [join(box.root, "pods"), join(box.root, "pod-names"), join(box.state, "pods")];
  for (const place of places) assert.deepEqual(existsSync(place) ? readdirSync(place) : [], [], place);
  assert.deepEqual(pins(box), []);
  assert.equal(await box.must(["ps", "-aq"]), "");
}

async function killAt(box: Sandbox, point: string, args: readonly string[]): Promise<void> {
  const dead = await box.gantry(args, { env: { GANTRY_FAULT: point } });
  assert.equal(dead.code, killed, `${point}: ${dead.stderr}`);
}

const share = ["--share", "net,ipc,uts,pid"];

for (const point of ["pod-create-directory", "pod-create-name"])
  test(`a creation killed at ${point} leaves nothing, and the name is free`, { skip }, () =>
    withSandbox(async (box) => {
      await killAt(box, point, ["pod", "create", "--name", "web"]);
      assert.equal(await box.must(["pod", "ps", "-q"]), "");
      await killAt(box, point, ["pod", "create", "--name", "web"]);
      await box.must(["pod", "create", "--name", "web"]);
      await assertNothing(box);
    }),
  );

for (const point of ["pod-start-recorded", "pod-start-directory", "pod-start-executor", "pod-started"])
  test(`a start killed at ${point} leaves a pod that is as a whole, and starts again`, { skip }, () =>
    withSandbox(async (box) => {
      const id = await box.must(["pod", "create", "--name", "web", ...share]);
      await killAt(box, point, ["pod", "start", "web"]);
      const state = await assertTruth(box, id);
      assert.equal(state, point === "pod-started" ? "ready" : "created");
      await box.must(["pod", "start", "web"]);
      assert.equal(await assertTruth(box, id), "ready");
      await assertNothing(box);
    }),
  );

for (const [point, verb] of [
  ["pod-stop-undone", ["pod", "stop", "-t", "0", "web"]],
  ["pod-remove-begun", ["pod", "rm", "-f", "-t", "0", "web"]],
  ["pod-remove-containers", ["pod", "rm", "-f", "-t", "0", "web"]],
  ["pod-stop-undone", ["pod", "rm", "-f", "-t", "0", "web"]],
  ["pod-discard-record", ["pod", "rm", "-f", "-t", "0", "web"]],
  ["pod-discard-name", ["pod", "rm", "-f", "-t", "0", "web"]],
] as const)
  test(`${verb[0]} ${verb[1]} killed at ${point} is ended by the next look`, { skip }, () =>
    withBusybox(async (box) => {
      const id = await box.must(["pod", "create", "--name", "web", ...share]);
      await box.must(["run", "-d", "--name", "one", "--pod", "web", "busybox", "sleep", "600"]);
      await killAt(box, point, verb);
      if (verb[1] === "stop") assert.equal(await assertTruth(box, id), "stopped");
      else {
        assert.equal(await box.must(["pod", "ps", "-q"]), "");
        assert.deepEqual(cgroupsOf(id), []);
        // the name is free, and so is that of its container
        await box.must(["pod", "create", "--name", "web"]);
        await box.must(["create", "--name", "one", "--pod", "web", "busybox"]);
      }
      await assertNothing(box);
    }),
  );

test("a container killed while it starts in a pod leaves the pod ready, or nothing", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["pod", "create", "--name", "web", ...share]);
    for (const point of ["pod-start-executor", "pod-started", "start-recorded", "create-bundle"]) {
      await killAt(box, point, ["run", "-d", "--name", "one", "--pod", "web", "busybox", "sleep", "600"]);
      await assertTruth(box, id);
      await box.gantry(["rm", "-f", "one"]);
    }
    await box.must(["run", "-d", "--name", "one", "--pod", "web", "busybox", "sleep", "600"]);
    await assertNothing(box);
  }),
);

test("SIGKILL of an executor at random moments of a start leaves nothing", { skip, timeout: 180_000 }, () =>
  withSandbox(async (box) => {
    const { Engine } = await import("../../src/index.ts");
    await using engine = await Engine.open({ root: box.root, state: box.state });
    const pod = await engine.createPod({ name: "web", namespaces: { pid: "pod" } });
    const begun = performance.now();
    await pod.start();
    const wholeMs = performance.now() - begun;
    await pod.stop();
    const ends = { ready: 0, nothing: 0 };
    for (let round = 0; round < 40; round++) {
      const before = new Set(childrenOf(process.pid));
      const starting = pod.start().catch(() => undefined);
      const end = performance.now() + ((round % 20) / 20) * wholeMs * 1.3;
      while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
      for (const child of childrenOf(process.pid)) if (!before.has(child)) process.kill(child, "SIGKILL");
      await starting;
      const { state } = await pod.inspect();
      if (state.kind === "ready") {
        ends.ready++;
        await pod.stop();
      } else ends.nothing++;
      assert.deepEqual(pins(box), [], `round ${round}`);
      assert.deepEqual(cgroupsOf(pod.id), [], `round ${round}`);
      assert.equal(existsSync(join(box.state, "pods", pod.id)), false);
    }
    await pod.remove();
    console.log(`    ${ends.nothing} undone, ${ends.ready} were ready`);
  }),
);

test(
  "SIGKILL of a client at random moments of a start: its executor cannot disturb who comes after",
  {
    skip,
    timeout: 180_000,
  },
  () =>
    withSandbox(async (box) => {
      const id = await box.must(["pod", "create", "--name", "web", ...share]);
      const begun = performance.now();
      await box.must(["pod", "start", "web"]);
      const wholeMs = performance.now() - begun;
      for (let round = 0; round < 20; round++) {
        await box.must(["pod", "stop", "web"]);
        const client = box.spawn(["pod", "start", "web"]);
        const over = new Promise((resolve) => client.once("exit", resolve));
        const end = performance.now() + (0.2 + (round / 20) * 0.9) * wholeMs;
        while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
        client.kill("SIGKILL");
        await over;
        await box.must(["pod", "start", "web"]);
        assert.equal(await assertTruth(box, id), "ready", `round ${round}`);
      }
      await assertNothing(box);
    }),
);

test("what a network set-up throws undoes the start, and an abort does", { skip }, () =>
  withSandbox(async (box) => {
    const { Engine } = await import("../../src/index.ts");
    await using engine = await Engine.open({ root: box.root, state: box.state });
    const pod = await engine.createPod({ name: "web" });
    let seen = "";
    const fails = pod.start({
      onNetwork(path) {
        seen = path;
        assert.ok(pins(box).includes(path), "the namespace is there when its network is set up");
        throw new Error("no address left");
      },
    });
    await assert.rejects(fails, /no address left/);
    assert.match(seen, /\/ns\/net$/);
    assert.deepEqual(pins(box), []);
    assert.equal((await pod.inspect()).state.kind, "created");
    const controller = new AbortController();
    const aborted = pod.start({
      signal: controller.signal,
      onNetwork: () => controller.abort(new Error("changed my mind")),
    });
    await assert.rejects(aborted, /changed my mind/);
    assert.deepEqual(pins(box), []);
    await pod.start({ onNetwork: () => {} });
    assert.equal((await pod.inspect()).status, "running");
    await pod.remove();
    assert.deepEqual(pins(box), []);
  }),
);

test("a reboot ends a pod, which is told as such", { skip }, () =>
  withSandbox(async (box) => {
    const id = await box.must(["pod", "create", "--name", "web"]);
    await box.must(["pod", "start", "web"]);
    // as it would look in another boot: the record says so, what was pinned is gone with the machine
    const path = join(box.root, "pods", id, "pod.json");
    const { writeFileSync } = await import("node:fs");
    const record = JSON.parse(readFileSync(path, "utf8")) as object;
    writeFileSync(path, JSON.stringify({ ...record, startedInBoot: "another" }));
    mkdirSync(join(box.state, "pods"), { recursive: true });
    assert.equal(await assertTruth(box, id), "stopped");
    assert.equal(
      await box.must(["pod", "inspect", "-f", "{{.Sandbox.Error}}", "web"]),
      "the machine was restarted",
    );
    await until("it can be started", async () => (await box.gantry(["pod", "start", "web"])).code === 0);
    await assertNothing(box);
  }),
);
