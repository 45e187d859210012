/** Who makes the cgroups of containers: runc's --systemd-cgroup and crun's --cgroup-manager. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { LinuxResources } from "../linux/resources.ts";
import { stateFiles } from "../plan/state-files.ts";
import type { OciContext } from "./context.ts";
import { type Flags, usageError } from "./flags.ts";

const managers = ["cgroupfs", "systemd", "disabled"] as const;

export type CgroupManager = (typeof managers)[number];

export function cgroupManagerOf(flags: Flags): CgroupManager {
  const asked = flags.text("cgroup-manager");
  if (asked === undefined) return flags.has("systemd-cgroup") ? "systemd" : "cgroupfs";
  const manager = managers.find((name) => name === asked);
  if (!manager) throw usageError(`unknown cgroup manager "${asked}": it is one of ${managers.join(", ")}`);
  if (flags.has("systemd-cgroup") && manager !== "systemd")
    throw usageError(`--systemd-cgroup and --cgroup-manager ${manager} say different things`);
  return manager;
}

export interface UnitUpdate {
  readonly from: LinuxResources;
  readonly to: LinuxResources;
  /** Whether the device rules change as well. */
  readonly devices: boolean;
}

const hasUnit = (directory: string) => existsSync(join(directory, stateFiles.unit));

/** Tells systemd the new limits of a container, if it was made with a unit. */
export async function updateRecordedUnit(
  context: OciContext,
  directory: string,
  update: UnitUpdate,
): Promise<void> {
  // nearly no container has one, and the modules that talk to systemd are many
  if (!hasUnit(directory)) return;
  const { updateUnitOf } = await import("./systemd-unit.ts");
  await updateUnitOf(context, directory, update);
}

/** Stops the systemd unit of a container, if it was made with one. `directory`: its own, below --root. */
export async function stopRecordedUnit(context: OciContext, directory: string): Promise<void> {
  if (!hasUnit(directory)) return;
  const { stopUnitOf } = await import("./systemd-unit.ts");
  await stopUnitOf(context, directory);
}
