import assert from "node:assert/strict";
import test from "node:test";
import { hybridHost, plainHost, v1Host, v2Host } from "../../../test/golden/hosts.ts";
import type { HostFacts } from "../host-facts.ts";
import type { Plan } from "../plan.ts";
import { compileContainer } from "./container.ts";
import type { OciMode } from "./request.ts";
import { withFilter } from "./seccomp.ts";

const own = [{ containerID: 0, hostID: 1000, size: 1 }];
const namespaces = ["pid", "mount", "user"].map((type) => ({ type }));

/** Facts of the same machine for a user, who may write below some folders. */
function asUser(facts: HostFacts, ...writable: readonly string[]): HostFacts {
  return {
    ...facts,
    uid: 1000,
    gid: 1000,
    capabilities: 0n,
    mayWriteBelow: (path) => writable.some((folder) => path === folder || path.startsWith(`${folder}/`)),
  };
}

interface Told {
  readonly plan: Plan;
  readonly warnings: readonly string[];
}

function compile(
  facts: HostFacts,
  linux: object = {},
  mode: Partial<OciMode> = {},
  config: object = {},
): Told {
  const warnings: string[] = [];
  const plan = compileContainer(
    withFilter({
      id: "c1",
      config: {
        ociVersion: "1.0.2",
        process: { args: ["true"], cwd: "/" },
        root: { path: "/rootfs" },
        linux: { namespaces, uidMappings: own, gidMappings: own, ...linux },
        ...config,
      } as never,
      bundle: "/bundle",
      facts,
      mode: { kind: "oci", state: "/state", awaitStart: true, foreground: false, ...mode },
      warn: (message) => warnings.push(message),
    }),
  );
  return { plan, warnings };
}

const made = ({ plan }: Told) =>
  plan.host.flatMap((step) => (step.op === "make-cgroup" ? [`${step.mount}${step.path}`] : []));
const ops = ({ plan }: Told) => [...plan.host, ...plan.child].map(({ op }) => op);

const memoryLimit = { resources: { memory: { limit: 1 << 20 } } };

test("a user who may make no cgroup stays in the caller's, and is told", () => {
  const told = compile(asUser(v1Host));
  assert.deepEqual(made(told), []);
  assert.ok(told.warnings.some((text) => text.includes("/sys/fs/cgroup/memory: permission denied")));
});

test("a cgroup is made in each hierarchy that was delegated, and limits go there", () => {
  const told = compile(asUser(v1Host, "/sys/fs/cgroup/memory/jobs"), memoryLimit);
  assert.deepEqual(made(told), ["/sys/fs/cgroup/memory/jobs/7/c1"]);
  assert.ok(ops(told).includes("write-cgroup"));
});

test("a limit whose cgroup cannot be made is refused in runc's words", () => {
  for (const facts of [asUser(v1Host, "/sys/fs/cgroup/cpu,cpuacct"), asUser(v2Host), asUser(hybridHost)])
    assert.throws(
      () => compile(facts, memoryLimit),
      /cannot set memory limit: container could not join or create cgroup/,
    );
});

test("a cgroup that was named and cannot be made is refused", () => {
  assert.throws(
    () => compile(asUser(v2Host), { cgroupsPath: "/mine/c1" }),
    /unable to apply cgroup configuration: mkdir \/sys\/fs\/cgroup\/mine\/c1: permission denied/,
  );
});

test("in v2 the place where both ways part must be writable too, not the new cgroup alone", () => {
  const half = asUser(v2Host, "/sys/fs/cgroup/user/mine");
  assert.deepEqual(made(compile(half, { cgroupsPath: "" })), []);
  const whole = asUser(v2Host, "/sys/fs/cgroup/user");
  assert.deepEqual(made(compile(whole)), ["/sys/fs/cgroup/user/c1"]);
});

test("--rootless decides whether refusals are passed over", () => {
  assert.notDeepEqual(made(compile(asUser(v1Host), {}, { rootless: false })), []);
  const root = { ...v1Host, mayWriteBelow: () => false };
  assert.deepEqual(made(compile(root, {}, { rootless: true })), []);
  assert.notDeepEqual(made(compile(root)), []);
});

test("without privileges and without a user namespace there is no container", () => {
  const linux = { namespaces: [{ type: "mount" }], uidMappings: [], gidMappings: [] };
  assert.throws(() => compile(asUser(plainHost), linux), /rootless container requires user namespaces/);
});

test("root of somebody else's user namespace binds devices and opens nothing on the host side", () => {
  const facts = { ...plainHost, inUserNamespace: true };
  const linux = { namespaces: [{ type: "mount" }, { type: "pid" }], uidMappings: [], gidMappings: [] };
  const told = compile(facts, linux);
  assert.ok(!ops(told).includes("make-device"));
  assert.ok(!told.plan.host.some(({ op }) => op === "clone-tree"));
  assert.ok(told.plan.child.some((step) => step.op === "clone-tree" && step.path === "/dev/null"));
});

test("where setgroups is denied no groups are set, and further ones are refused", () => {
  const facts = { ...plainHost, inUserNamespace: true, setgroupsDenied: true };
  const linux = { namespaces: [{ type: "mount" }, { type: "pid" }], uidMappings: [], gidMappings: [] };
  const setUser = compile(facts, linux).plan.child.find((step) => step.op === "set-user");
  assert.equal(setUser?.setGroups, 0);
  const process = { args: ["true"], cwd: "/", user: { additionalGids: [5] } };
  assert.throws(() => compile(facts, linux, {}, { process }), /additionalGids: cannot be set/);
});

test("more ids than the own one need the helper, and its lack is told", () => {
  const wide = [...own, { containerID: 1, hostID: 100_000, size: 65_536 }];
  const told = compile(asUser(plainHost), { uidMappings: wide, gidMappings: wide });
  const helpers = told.plan.host.flatMap((step) => (step.op === "write-id-map" ? [step.helper] : []));
  assert.deepEqual(helpers, ["/usr/bin/newuidmap", "/usr/bin/newgidmap"]);
  const bare = { ...asUser(plainHost), programPath: () => undefined };
  assert.throws(
    () => compile(bare, { uidMappings: wide, gidMappings: wide }),
    /uidMappings: more than the own id needs newuidmap, which is not installed/,
  );
});

test("gid=5 of devpts is left out where the user namespace has no such group", () => {
  const options = ["newinstance", "gid=5", "mode=0620"];
  const mounts = [{ destination: "/dev/pts", type: "devpts", source: "devpts", options }];
  const devpts = (told: Told) =>
    told.plan.child.flatMap((step) =>
      step.op === "make-mount" && step.type === "devpts" ? step.options : [],
    );
  assert.ok(!devpts(compile(asUser(plainHost), {}, {}, { mounts })).includes("gid=5"));
  const wide = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  assert.ok(
    devpts(compile(plainHost, { uidMappings: wide, gidMappings: wide }, {}, { mounts })).includes("gid=5"),
  );
});
