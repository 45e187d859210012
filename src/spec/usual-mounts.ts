/** Mounts that every container has, as runc's `spec` and Docker make them. */
import type { RuntimeMount } from "./runtime-mount.ts";

/** Of file systems that hold no programs and no devices. */
export const quiet: readonly string[] = ["nosuid", "noexec", "nodev"];

export const devMount: RuntimeMount = {
  destination: "/dev",
  type: "tmpfs",
  source: "tmpfs",
  options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
};

export const mqueueMount: RuntimeMount = {
  destination: "/dev/mqueue",
  type: "mqueue",
  source: "mqueue",
  options: quiet,
};

/** `group` is an option that gives the terminals a group, where there is one for them. */
export function ptsMount(group: readonly string[]): RuntimeMount {
  const options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", ...group];
  return { destination: "/dev/pts", type: "devpts", source: "devpts", options };
}

/** `size` as tmpfs takes it: `65536k`. */
export function shmMount(size: string | number): RuntimeMount {
  const options = [...quiet, "mode=1777", `size=${size}`];
  return { destination: "/dev/shm", type: "tmpfs", source: "shm", options };
}
