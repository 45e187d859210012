import assert from "node:assert/strict";
import test from "node:test";
import { capabilityNames } from "../linux/capabilities.ts";
import type { ContainerOptions } from "./container-options.ts";
import { podConfig } from "./pod-config.ts";
import { type BundleHost, buildRuntimeConfig } from "./runtime-config.ts";
import type { SharedNamespaces } from "./shared-namespaces.ts";

const id = "0123456789abcdef".repeat(4);
const host: BundleHost = {
  architecture: "x64",
  kernel: [6, 1],
  capabilities: capabilityNames,
  hostname: "host",
  swapLimit: true,
};
const other = `container:${id}` as const;

function config(options: ContainerOptions, shared?: SharedNamespaces) {
  const user = { uid: 0, gid: 0, additionalGids: [] };
  return buildRuntimeConfig({ id, image: { Cmd: ["sh"] }, options, user, host, shared }).config;
}

test("a namespace that is shared stands in the config with whose it is", () => {
  const built = config({ pid: other, network: other }, { paths: { pid: other, network: other } });
  const paths = Object.fromEntries((built.linux?.namespaces ?? []).map(({ type, path }) => [type, path]));
  assert.deepEqual([paths.pid, paths.network, paths.ipc], [other, other, undefined]);
});

test("sysctls of a network that is shared are left as they are", () => {
  assert.ok("net.ipv4.ip_unprivileged_port_start" in (config({}).linux?.sysctl ?? {}));
  const shared = config({ network: other }, { paths: { network: other } });
  assert.deepEqual(shared.linux?.sysctl, {});
});

test("a shared IPC namespace brings its /dev/shm, and none has no /dev/shm", () => {
  const shm = (options: ContainerOptions, shared?: SharedNamespaces) =>
    config(options, shared).mounts?.find(({ destination }) => destination === "/dev/shm");
  const joined = shm({ ipc: other }, { paths: { ipc: other }, shm: "/state/shm" });
  assert.deepEqual([joined?.type, joined?.source], ["bind", "/state/shm"]);
  assert.equal(shm({ ipc: "none" }), undefined);
  assert.equal(shm({ ipc: "shareable" })?.type, "tmpfs");
});

test("the name of a shared UTS namespace is seen, not set", () => {
  const built = config({ uts: other }, { paths: { uts: other }, hostname: "giver" });
  assert.equal(built.hostname, undefined);
  assert.ok(built.process?.env?.includes("HOSTNAME=giver"));
  assert.throws(
    () => config({ uts: other, hostname: "x" }),
    /conflicting options: hostname and the UTS mode/,
  );
  assert.throws(
    () => config({ network: other, hostname: "x" }),
    /conflicting options: hostname and the network mode/,
  );
});

test("a pod has the namespaces that its containers share, and their limits together", () => {
  const built = podConfig(
    {
      hostname: "web",
      namespaces: { network: "pod", ipc: "host", uts: "pod", pid: "container" },
      sysctls: { "net.core.somaxconn": "5" },
      cgroupPath: "/gantry/pod-1",
      limits: { memoryBytes: 64 * 1024 * 1024 },
    },
    host,
  );
  assert.deepEqual(
    built.linux?.namespaces?.map(({ type }) => type),
    ["mount", "network", "uts"],
  );
  assert.equal(built.hostname, "web");
  assert.equal(built.linux?.resources?.memory?.limit, 64 * 1024 * 1024);
  assert.equal(built.linux?.sysctl?.["net.core.somaxconn"], "5");
});
