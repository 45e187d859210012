/**
 * From one state of a v1 devices cgroup to another. The kernel keeps a default and exceptions to it
 * (security/device_cgroup.c); "a" resets both. Written from the start, new rules would leave a moment at which
 * nothing is allowed, so only what differs is written, what is allowed first.
 */
import {
  type DeviceRule,
  deviceAccess,
  deviceRuleText,
  deviceWritesV1,
  isForAll,
  parseDeviceRule,
} from "./devices.ts";
import type { LinuxDeviceCgroup } from "./resources.ts";

export interface DeviceWrite {
  readonly file: "devices.allow" | "devices.deny";
  readonly value: string;
}

export interface DeviceTransition {
  readonly writes: readonly DeviceWrite[];
  /** What leads back. */
  readonly undo: readonly DeviceWrite[];
  /** The default changes: for a moment too little is allowed, so the container must stand still meanwhile. */
  readonly hasGap: boolean;
}

interface DeviceState {
  readonly allowsByDefault: boolean;
  /** "c 1:3" -> the access bits that are otherwise than by default. */
  readonly exceptions: ReadonlyMap<string, DeviceRule>;
}

const types = ["b", "c"] as const;

const keyOf = ({ type, major, minor }: DeviceRule) => `${type} ${major ?? "*"}:${minor ?? "*"}`;

/** What the kernel makes of rules that are written one after the other to a fresh cgroup. */
export function deviceStateOf(rules: readonly LinuxDeviceCgroup[]): DeviceState {
  let allowsByDefault = true;
  const exceptions = new Map<string, DeviceRule>();
  for (const rule of rules.map(parseDeviceRule)) {
    if (isForAll(rule)) {
      allowsByDefault = rule.allow;
      exceptions.clear();
      continue;
    }
    for (const type of rule.type === "a" ? types : [rule.type]) {
      const one = { ...rule, type };
      const key = keyOf(one);
      const old = exceptions.get(key)?.access ?? 0;
      const access = rule.allow === allowsByDefault ? old & ~rule.access : old | rule.access;
      if (access === 0) exceptions.delete(key);
      else exceptions.set(key, { ...one, access, allow: !allowsByDefault });
    }
  }
  return { allowsByDefault, exceptions };
}

/** Exceptions of `from` that `to` lacks, with the access that it lacks. */
function surplus(from: DeviceState, to: DeviceState): readonly DeviceRule[] {
  return [...from.exceptions].flatMap(([key, rule]) => {
    const access = rule.access & ~(to.exceptions.get(key)?.access ?? 0) & deviceAccess.all;
    return access === 0 ? [] : [{ ...rule, access }];
  });
}

function differences(from: DeviceState, to: DeviceState): readonly DeviceWrite[] {
  const write = (allow: boolean) => (rule: DeviceRule) =>
    ({ file: allow ? "devices.allow" : "devices.deny", value: deviceRuleText(rule) }) as const;
  const added = surplus(to, from).map(write(!to.allowsByDefault));
  const removed = surplus(from, to).map(write(to.allowsByDefault));
  return to.allowsByDefault ? [...removed, ...added] : [...added, ...removed];
}

export function deviceTransition(
  oldRules: readonly LinuxDeviceCgroup[],
  newRules: readonly LinuxDeviceCgroup[],
): DeviceTransition {
  const [from, to] = [deviceStateOf(oldRules), deviceStateOf(newRules)];
  const hasGap = from.allowsByDefault !== to.allowsByDefault;
  return hasGap
    ? { writes: deviceWritesV1(newRules), undo: deviceWritesV1(oldRules), hasGap }
    : { writes: differences(from, to), undo: differences(to, from), hasGap };
}
