/** What a bundle depends on of this machine; the costly parts are looked at only if the options ask for them. */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { availableParallelism, hostname } from "node:os";
import { join } from "node:path";
import { GantryError, wrapErrno } from "../base/error.ts";
import type { ContainerOptions } from "../bundle/container-options.ts";
import type { DeviceNumber } from "../bundle/resources.ts";
import type { BundleHost } from "../bundle/runtime-config.ts";
import { capabilitiesOfMask } from "../linux/capabilities.ts";
import type { HostFacts } from "../plan/host-facts.ts";
import type { RuntimeDevice } from "../spec/runtime-linux.ts";

export function bundleHost(facts: HostFacts, options: ContainerOptions): BundleHost {
  const { kernel, architecture } = facts;
  const limitsMemory = options.memoryBytes !== undefined || options.memorySwapBytes !== undefined;
  return {
    architecture,
    kernel: [kernel.major, kernel.minor],
    capabilities: capabilitiesOfMask(facts.capabilities),
    hostname: hostname(),
    swapLimit: limitsMemory && limitsSwap(facts),
    cpuCount: onlineCpus(),
    ...(options.privileged ? { devices: hostDevices("/dev") } : {}),
    ...(options.blockDevices ? { blockDevices: blockDeviceNumbers(options) } : {}),
  };
}

/** CPUs of the machine: what the present process may use of them says nothing about its containers. */
function onlineCpus(): number {
  let text: string;
  try {
    text = readFileSync("/sys/devices/system/cpu/online", "utf8");
  } catch {
    return availableParallelism();
  }
  return text.split(",").reduce((sum, range) => {
    const [first, last = first] = range.split("-").map(Number);
    return sum + last! - first! + 1;
  }, 0);
}

/** Whether memory cgroups can limit swap: a v1 kernel may be built or booted without. */
function limitsSwap({ cgroups }: HostFacts): boolean {
  const legacy = cgroups.controllers.get("memory");
  if (legacy) return existsSync(join(legacy.mountPoint, "memory.memsw.limit_in_bytes"));
  return existsSync("/proc/swaps");
}

/** Made anew in every container. */
const ownPlaces: ReadonlySet<string> = new Set([
  "ptmx",
  "pts",
  "shm",
  "fd",
  "mqueue",
  "console",
  ".lxc",
  ".lxd-mounts",
  ".udev",
]);

/** Every device node below `dir`, as it is on the host. */
function hostDevices(dir: string): readonly RuntimeDevice[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry): readonly RuntimeDevice[] => {
    const path = join(dir, entry.name);
    if (dir === "/dev" && ownPlaces.has(entry.name)) return [];
    if (entry.isDirectory()) return hostDevices(path);
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    let found: ReturnType<typeof lstatSync>;
    try {
      found = lstatSync(path);
    } catch {
      // unplugged since the folder was read
      return [];
    }
    const { rdev, mode, uid, gid } = found as { rdev: number; mode: number; uid: number; gid: number };
    const type = entry.isBlockDevice() ? "b" : "c";
    return [{ path, type, ...deviceNumber(rdev), fileMode: mode & 0o7777, uid, gid }];
  });
}

/** makedev(3) of glibc, whose numbers the kernel hands out below 2^32. */
function deviceNumber(rdev: number): DeviceNumber {
  const major = ((rdev >>> 8) & 0xfff) | (Math.floor(rdev / 2 ** 32) * 0x1000);
  return { major, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

function blockDeviceNumbers({ blockDevices = [] }: ContainerOptions): ReadonlyMap<string, DeviceNumber> {
  return new Map(
    blockDevices.map(({ path }) => {
      let found: ReturnType<typeof statSync>;
      try {
        found = statSync(path);
      } catch (error) {
        throw wrapErrno(error, "find block device", path);
      }
      if (!found!.isBlockDevice())
        throw new GantryError("invalid-argument", `find block device "${path}": not a block device`);
      return [path, deviceNumber(found!.rdev as number)];
    }),
  );
}
