/** Device nodes of this machine. */
import { lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import type { ContainerOptions, DeviceOption } from "../bundle/container-options.ts";
import type { FoundDevice } from "../bundle/devices.ts";
import type { DeviceNumber } from "../bundle/resources.ts";
import type { RuntimeDevice } from "../spec/runtime-linux.ts";

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

/** makedev(3) of glibc, whose numbers the kernel hands out below 2^32. */
function deviceNumber(rdev: number): DeviceNumber {
  const major = ((rdev >>> 8) & 0xfff) | (Math.floor(rdev / 2 ** 32) * 0x1000);
  return { major, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

/** Undefined for what is no device. */
function deviceOf(path: string, found: Stats): RuntimeDevice | undefined {
  if (!found.isCharacterDevice() && !found.isBlockDevice()) return undefined;
  const { rdev, mode, uid, gid } = found;
  const type = found.isBlockDevice() ? "b" : "c";
  return { path, type, ...deviceNumber(rdev), fileMode: mode & 0o7777, uid, gid };
}

/** Every device node below `dir`, as it is on the host. */
export function hostDevices(dir: string): readonly RuntimeDevice[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry): readonly RuntimeDevice[] => {
    const path = join(dir, entry.name);
    if (dir === "/dev" && ownPlaces.has(entry.name)) return [];
    if (entry.isDirectory()) return hostDevices(path);
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    let found: Stats;
    try {
      found = lstatSync(path);
    } catch {
      // unplugged since the folder was read
      return [];
    }
    const device = deviceOf(path, found);
    return device ? [device] : [];
  });
}

function gatherError(path: string, reason: string): GantryError {
  return new GantryError(
    "invalid-argument",
    `error gathering device information while adding custom device ${JSON.stringify(path)}: ${reason}`,
    { detail: { path } },
  );
}

/** The device at a path of the host, or all that are in a directory. */
export function findDevices(option: DeviceOption): readonly FoundDevice[] {
  const { hostPath, containerPath = hostPath, permissions = "rwm" } = option;
  let found: Stats;
  try {
    found = statSync(hostPath);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw gatherError(hostPath, "no such file or directory");
    throw wrapErrno(error, "find device", hostPath);
  }
  if (found.isDirectory())
    return hostDevices(hostPath).map((device) => ({
      device: { ...device, path: containerPath + device.path.slice(hostPath.length) },
      permissions,
    }));
  const device = deviceOf(containerPath, found);
  if (!device) throw gatherError(hostPath, "not a device node");
  return [{ device, permissions }];
}

export function blockDeviceNumbers({
  blockDevices = [],
}: ContainerOptions): ReadonlyMap<string, DeviceNumber> {
  return new Map(
    blockDevices.map(({ path }) => {
      let found: Stats;
      try {
        found = statSync(path);
      } catch (error) {
        throw wrapErrno(error, "find block device", path);
      }
      if (!found.isBlockDevice())
        throw new GantryError("invalid-argument", `find block device "${path}": not a block device`);
      return [path, deviceNumber(found.rdev)];
    }),
  );
}
