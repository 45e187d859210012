/** Devices that a container asks for: nodes in its /dev, and rules by which it may use them. Pure. */
import { GantryError } from "../base/error.ts";
import type { LinuxDeviceCgroup } from "../linux/resources.ts";
import type { RuntimeDevice } from "../spec/runtime-linux.ts";
import type { ContainerOptions } from "./container-options.ts";

/** A device of the host as the engine has found it, with what may be done to it. */
export interface FoundDevice {
  readonly device: RuntimeDevice;
  readonly permissions: string;
}

const ruleForm = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/;

/** `c 10:229 rwm`, as docker writes it. */
export function parseDeviceRule(text: string): LinuxDeviceCgroup {
  const parts = ruleForm.exec(text);
  if (!parts) throw new GantryError("invalid-argument", `invalid device cgroup rule format: '${text}'`);
  const number = (value: string) => (value === "*" ? -1 : Number(value));
  return {
    allow: true,
    type: parts[1]!,
    major: number(parts[2]!),
    minor: number(parts[3]!),
    access: parts[4]!,
  };
}

/** What comes after docker's own rules. A privileged container may do all as it is. */
export function deviceRulesOf(
  options: Pick<ContainerOptions, "privileged" | "deviceCgroupRules">,
  found: readonly FoundDevice[],
): readonly LinuxDeviceCgroup[] {
  if (options.privileged) return [];
  return [
    ...found.map(({ device: { type, major = -1, minor = -1 }, permissions }) => ({
      allow: true,
      type,
      ...{ major, minor, access: permissions },
    })),
    ...(options.deviceCgroupRules ?? []).map(parseDeviceRule),
  ];
}
