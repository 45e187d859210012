import assert from "node:assert/strict";
import test from "node:test";
import { namespaces } from "../../linux/namespaces.ts";
import { runtimeConfig } from "../../spec/runtime-config.ts";
import { compileCheckpoint } from "./checkpoint.ts";
import { encodeCriuRequest } from "./criu-request.ts";
import { plainCriuFlags as flags } from "./testing.ts";

/** Whether criu is asked for an empty network instead of this one. */
function isLeftOut(hooks: object, network: object, networkDevices: readonly string[]): boolean {
  const config = runtimeConfig(
    {
      ociVersion: "1.3.0",
      root: { path: "rootfs" },
      process: { cwd: "/", args: ["sh"] },
      hooks,
      linux: { namespaces: [{ type: "pid" }, network] },
    },
    "",
  );
  const { host } = compileCheckpoint({
    criu: { program: "/criu", env: [], images: "/img", work: "/work" },
    flags,
    config,
    rootfs: "/root",
    pid: 7,
    preDump: false,
    leaveRunning: false,
    mounts: [],
    namespaceInode: () => 8,
    networkDevices,
    tellReady: false,
  });
  const step = host.find(({ op }) => op === "await-criu") as { readonly request: Uint8Array } | undefined;
  const asked = (emptyNamespaces: number) =>
    encodeCriuRequest({
      kind: "dump",
      flags: { ...flags, emptyNamespaces },
      log: "dump.log",
      pid: 7,
      root: "/root",
      leaveRunning: false,
      mounts: new Map(),
      external: "path" in network ? ["net[8]:extRootNetNS"] : [],
    });
  const request = Buffer.from(step!.request);
  const left = request.equals(asked(namespaces.network.cloneFlag));
  assert.ok(left || request.equals(asked(0)), "another request");
  return left;
}

test("a network is left out of a checkpoint where hooks have put devices into it, and will again", () => {
  const hook = { createRuntime: [{ path: "/hook" }] };
  assert.ok(isLeftOut(hook, { type: "network" }, ["lo", "eth0"]));
  assert.ok(isLeftOut({ prestart: [{ path: "/hook" }] }, { type: "network" }, ["eth0"]));
  assert.ok(!isLeftOut(hook, { type: "network" }, ["lo"]));
  assert.ok(!isLeftOut({ poststop: [{ path: "/hook" }] }, { type: "network" }, ["lo", "eth0"]));
  assert.ok(!isLeftOut(hook, { type: "network", path: "/run/netns/one" }, ["lo", "eth0"]));
});
