/** Golden plans of checkpoint and restore. */
import { parseMountinfo } from "../../src/linux/mountinfo.ts";
import { compileCheckpoint } from "../../src/plan/compile/checkpoint.ts";
import { compileRestore } from "../../src/plan/compile/restore.ts";
import { plainCriuFlags as flags } from "../../src/plan/compile/testing.ts";
import type { HostFacts } from "../../src/plan/host-facts.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { runtimeConfig } from "../../src/spec/runtime-config.ts";
import { hybridHost, v2Host } from "./hosts.ts";

const config = runtimeConfig(
  {
    ociVersion: "1.3.0",
    root: { path: "rootfs" },
    process: { cwd: "/", args: ["sh"] },
    mounts: [
      { destination: "/proc", type: "proc" },
      { destination: "/dev", type: "tmpfs" },
      { destination: "/dev/shm", type: "tmpfs" },
      { destination: "/data", source: "/srv/data", options: ["rbind"] },
      { destination: "/etc/hosts", source: "hosts", options: ["bind"] },
    ],
    hooks: { createRuntime: [{ path: "/hooks/network" }] },
    linux: {
      cgroupsPath: "/pods/one",
      resources: { memory: { limit: 1 << 20 } },
      namespaces: [{ type: "mount" }, { type: "pid" }, { type: "network", path: "/run/netns/one" }],
      maskedPaths: ["/proc/kcore"],
    },
  },
  "",
);

const criu = { program: "/usr/sbin/criu", env: ["PATH=/usr/sbin"], images: "/img", work: "/work" };

const mounts = parseMountinfo(
  [
    "43 32 0:25 / / rw - ext4 disk rw",
    "44 43 0:28 / /proc rw - proc proc rw",
    "45 44 0:5 /null /proc/kcore rw - devtmpfs dev rw",
    "46 43 0:25 /srv/data /data rw - ext4 disk rw",
    "47 43 0:25 /b/hosts /etc/hosts rw - ext4 disk rw",
  ].join("\n"),
);

function checkpointCase(name: string, tellReady: boolean): { name: string; compile(): Plan } {
  const request = {
    criu,
    flags,
    config,
    rootfs: "/bundle/rootfs",
    pid: 42,
    preDump: false,
    leaveRunning: true,
  };
  const namespaceInode = () => 4026531840;
  return {
    name,
    compile: () =>
      compileCheckpoint({ ...request, mounts, namespaceInode, networkDevices: ["lo"], tellReady }),
  };
}

function restoreCase(name: string, facts: HostFacts, foreground: boolean) {
  return {
    name,
    compile: (warn: (message: string, pointer: string) => void): Plan =>
      compileRestore({
        id: "c0ffee",
        filter: undefined,
        config,
        bundle: "/bundle",
        facts,
        warn,
        mode: { kind: "oci", state: "/run/oci/c0ffee", awaitStart: false, foreground, pidFile: "/run/pid" },
        criu,
        flags,
        descriptors: ["/dev/null", "pipe:[7]", "pipe:[8]"],
        isDirectory: (path) => path === "/srv/data",
      }),
  };
}

export const criuCases = [
  checkpointCase("checkpoint", false),
  checkpointCase("checkpoint-told-when-ready", true),
  restoreCase("restore-v2", v2Host, false),
  restoreCase("restore-hybrid-foreground", hybridHost, true),
];
