/**
 * Labels of Linux security modules, on machines that have none: the plan is compiled for a host with both, and the
 * private proc that it opens is exchanged for a folder, whose files show what would be written.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readHostFacts } from "../../src/host/facts.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { runPlan } from "../../src/launch/launch.ts";
import { compileContainer } from "../../src/plan/compile/container.ts";
import { withFilter } from "../../src/plan/compile/seccomp.ts";
import type { HostFacts } from "../../src/plan/host-facts.ts";
import type { Step } from "../../src/plan/plan.ts";
import { parseRuntimeConfig } from "../../src/spec/runtime-config.ts";
import { containerId, type Json, merge, runOnce, unready, withBundle } from "./bundle.ts";

/** Facts of this machine with other security modules. */
function factsWith(securityModules: readonly string[]): HostFacts {
  const real = readHostFacts();
  // the facts are read when they are asked for: a copy would have none
  return new Proxy(real, {
    get: (facts, name) => (name === "securityModules" ? securityModules : Reflect.get(facts, name, facts)),
  });
}

const attributes = ["attr/exec", "attr/apparmor/exec"];

/** Runs a container whose proc is a folder; what is in its files afterwards, by their names. */
async function written(process: Json): Promise<Readonly<Record<string, string>>> {
  return await withBundle("gantry-oci", "true", { process }, async (_runtime, bundle) => {
    const proc = join(bundle.files, "proc");
    mkdirSync(join(proc, "self/attr/apparmor"), { recursive: true });
    for (const file of attributes) writeFileSync(join(proc, "self", file), "");
    const id = containerId();
    const plan = compileContainer(
      withFilter({
        id,
        config: parseRuntimeConfig(JSON.stringify(merge(bundle.config, { process }))),
        bundle: bundle.path,
        facts: factsWith(["apparmor", "selinux"]),
        mode: { kind: "oci", state: bundle.files, awaitStart: false, foreground: true },
      }),
    );
    const child = plan.child.map(
      (step): Step =>
        step.op === "open-proc"
          ? { op: "clone-tree", where: "", path: proc, recursive: 0, fd: step.fd }
          : step,
    );
    const cleanup = plan.cleanup.filter(({ op }) => op !== "remove-tree");
    const { status } = await runPlan({ ...plan, child, cleanup }, { executor: findExecutor() });
    assert.equal(status, 0);
    return Object.fromEntries(
      attributes.map((file) => [file, readFileSync(join(proc, "self", file), "utf8")]),
    );
  });
}

test("an AppArmor profile is written for exec into a proc that was checked", { skip: unready }, async () => {
  assert.deepEqual(await written({ apparmorProfile: "mine" }), {
    "attr/exec": "",
    "attr/apparmor/exec": "exec mine",
  });
});

test("an SELinux label is written for exec into a proc that was checked", { skip: unready }, async () => {
  assert.deepEqual(await written({ selinuxLabel: "system_u:system_r:svirt_t:s0:c1,c2" }), {
    "attr/exec": "system_u:system_r:svirt_t:s0:c1,c2",
    "attr/apparmor/exec": "",
  });
});

test("a label of a security module that the host does not have is refused", { skip: unready }, async () => {
  const { securityModules } = readHostFacts();
  for (const [module, process, wanted] of [
    ["apparmor", { apparmorProfile: "mine" }, /apparmor is not enabled on this host/],
    ["selinux", { selinuxLabel: "a:b:c:s0" }, /selinux is not enabled on this host/],
  ] as const) {
    if (securityModules.includes(module)) continue;
    const { code, stdout, stderr } = await runOnce("gantry-oci", "echo ran", { process });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, wanted);
  }
  const { code } = await runOnce("gantry-oci", "true", { process: { apparmorProfile: "unconfined" } });
  assert.equal(code, 0, "unconfined asks for nothing");
});
