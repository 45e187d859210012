/** The config.json that `spec` writes: runc's example, without ambient capabilities that cannot be raised. */
import { type RuntimeConfig, runtimeSpecVersion } from "../spec/runtime-config.ts";
import { devMount, mqueueMount, ptsMount, quiet, shmMount } from "../spec/usual-mounts.ts";

const capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

export function defaultSpec(
  rootless: { readonly uid: number; readonly gid: number } | undefined,
): RuntimeConfig {
  return {
    ociVersion: runtimeSpecVersion,
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "gantry",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      devMount,
      ptsMount(rootless ? [] : ["gid=5"]),
      shmMount("65536k"),
      mqueueMount,
      rootless
        ? { destination: "/sys", type: "none", source: "/sys", options: ["rbind", ...quiet, "ro"] }
        : { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
      {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: [...quiet, "relatime", "ro"],
      },
    ],
    linux: {
      ...(rootless
        ? {
            uidMappings: [{ containerID: 0, hostID: rootless.uid, size: 1 }],
            gidMappings: [{ containerID: 0, hostID: rootless.gid, size: 1 }],
          }
        : { resources: { devices: [{ allow: false, access: "rwm" }] } }),
      namespaces: [
        { type: "pid" },
        ...(rootless ? [] : [{ type: "network" as const }]),
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "cgroup" },
        ...(rootless ? [{ type: "user" as const }] : []),
      ],
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}
