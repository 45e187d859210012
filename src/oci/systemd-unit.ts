/**
 * The systemd unit of a container: made while its child waits, changed by `update`, stopped by `delete`. Loaded for
 * --systemd-cgroup and for containers that were made with it.
 *
 * A file in the state directory names the unit before systemd hears of it, so that whoever removes the container
 * finds it, whichever process was killed at whatever moment.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { boolean, object, string } from "../base/decode.ts";
import { GantryError, wrapErrno } from "../base/error.ts";
import { readRecordFile } from "../base/record-file.ts";
import { parseDeviceRule } from "../linux/devices.ts";
import type { LinuxResources } from "../linux/resources.ts";
import { annotationProperties } from "../linux/systemd-annotations.ts";
import { deviceProperties } from "../linux/systemd-devices.ts";
import {
  changedProperties,
  commonProperties,
  oomProperties,
  resourceProperties,
  type UnitProperty,
} from "../linux/systemd-properties.ts";
import { unitOfContainer } from "../linux/systemd-unit.ts";
import { atResources, deviceRules } from "../plan/compile/cgroup-limits.ts";
import type { ForeignCgroups } from "../plan/compile/request.ts";
import { stateFiles } from "../plan/state-files.ts";
import type { RuntimeConfig } from "../spec/runtime-config.ts";
import { isRootless } from "../systemd/addresses.ts";
import { SystemdManager } from "../systemd/manager.ts";
import type { UnitUpdate } from "./cgroup-manager.ts";
import type { OciContext } from "./context.ts";

const unitFile = object({
  name: string,
  /** Whether its manager is the user's own. */
  user: boolean,
});

export interface ContainerUnit extends AsyncDisposable {
  /** What the plan must know. */
  readonly cgroups: ForeignCgroups;
  /** Makes the unit with the process in it. */
  start(pid: number): Promise<void>;
  /** Ends it, if this made it and it is still there. */
  stop(): Promise<void>;
}

/** Limits as systemd is told them. A user's manager has no say about devices. */
function limitsOf(
  resources: LinuxResources,
  manager: SystemdManager,
  user: boolean,
): readonly UnitProperty[] {
  return [
    ...(user ? [] : deviceProperties(deviceRules(resources.devices).map(parseDeviceRule))),
    ...resourceProperties(resources, manager.version),
  ];
}

/** Reads all that the unit will be; whatever is wrong with it fails here. `state`: the container's directory. */
export async function prepareUnit(
  context: OciContext,
  { id, config, state }: { readonly id: string; readonly config: RuntimeConfig; readonly state: string },
): Promise<ContainerUnit> {
  const user = isRootless();
  const unit = unitOfContainer(config.linux?.cgroupsPath, id, { rootless: user });
  const annotated = annotationProperties(config.annotations ?? {});
  const manager = await SystemdManager.open({ user, env: context.env });
  try {
    let made = false;
    const resources = config.linux?.resources ?? {};
    const limits = atResources(() => [
      ...limitsOf(resources, manager, user),
      ...oomProperties(resources, manager.version),
    ]);
    return {
      cgroups: {
        kind: "unit",
        path: `${manager.controlGroup}${unit.path}`,
        moveChild: unit.kind === "slice",
      },
      async start(pid) {
        // written down, and stopped when something fails, is our own unit only
        if (await manager.isLiving(unit.name))
          throw new GantryError("already-exists", `systemd unit "${unit.name}" already exists`);
        writeUnitFile(state, { name: unit.name, user });
        made = true;
        const common = commonProperties(unit, `gantry container ${id}`, pid);
        const replaced = new Set(annotated.map(({ name }) => name));
        await manager.startTransientUnit(unit.name, [
          ...common.filter(({ name }) => !replaced.has(name)),
          ...limits.filter(({ name }) => !replaced.has(name)),
          ...annotated,
        ]);
      },
      async stop() {
        if (made) await manager.stopUnit(unit.name);
      },
      [Symbol.asyncDispose]: () => manager[Symbol.asyncDispose](),
    };
  } catch (error) {
    await manager[Symbol.asyncDispose]();
    throw error;
  }
}

function writeUnitFile(directory: string, unit: { readonly name: string; readonly user: boolean }): void {
  const file = join(directory, stateFiles.unit);
  try {
    writeFileSync(file, JSON.stringify(unit), { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw wrapErrno(error, "write", file);
  }
}

function readUnitFile(directory: string) {
  const form = { decoder: unitFile, what: "unit of a container", limitBytes: 4096 };
  return readRecordFile(join(directory, stateFiles.unit), form);
}

/** Stops the unit of a container that was made with one. `directory`: the container's, below --root. */
export async function stopUnitOf(context: OciContext, directory: string): Promise<void> {
  const unit = readUnitFile(directory);
  if (!unit) return;
  await using manager = await SystemdManager.open({ user: unit.user, env: context.env });
  await manager.stopUnit(unit.name);
}

/** Tells systemd the limits that the files of the cgroup get as well: what it does not know it would set back. */
export async function updateUnitOf(
  context: OciContext,
  directory: string,
  { from, to, devices }: UnitUpdate,
): Promise<void> {
  const unit = readUnitFile(directory);
  if (!unit) return;
  await using manager = await SystemdManager.open({ user: unit.user, env: context.env });
  const limits = (resources: LinuxResources) =>
    devices ? limitsOf(resources, manager, unit.user) : resourceProperties(resources, manager.version);
  const changes = changedProperties(limits(from), limits(to));
  if (changes.length > 0) await manager.setUnitProperties(unit.name, changes);
}
