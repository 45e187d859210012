/**
 * Device rules -> DevicePolicy and DeviceAllow of a unit.
 *
 * systemd knows lists of what is allowed only, and it puts its own program beside ours on the unit's cgroup: a
 * device must get past both. So it is told either exactly what our program lets through, or nothing; then a reload
 * of systemd, which makes its program anew, takes nothing away.
 */
import { type DeviceRule, deviceAccess, isForAll } from "./devices.ts";
import type { UnitProperty } from "./systemd-properties.ts";

type Allowed = Pick<DeviceRule, "major" | "minor" | "access"> & { readonly type: "b" | "c" };

const node = { b: "block", c: "char" } as const;

/** The properties for rules of which the last that matches a device counts. */
export function deviceProperties(rules: readonly DeviceRule[]): readonly UnitProperty[] {
  const allowed = allowList(rules);
  return [
    { name: "DevicePolicy", signature: "s", value: allowed ? "strict" : "auto" },
    {
      name: "DeviceAllow",
      signature: "a(ss)",
      value: (allowed ?? []).map((one) => [patternOf(one), accessLetters(one.access)]),
    },
  ];
}

/** What is allowed, when all else is not; undefined where that cannot be said as a list. */
function allowList(rules: readonly DeviceRule[]): readonly Allowed[] | undefined {
  let list: readonly Allowed[] = [];
  // nothing is allowed until a rule says so, as for the program (device-filter.ts)
  for (const rule of rules.slice(Math.max(rules.findLastIndex(isForAll), 0))) {
    if (isForAll(rule)) {
      if (rule.allow) return undefined;
      list = [];
      continue;
    }
    const types = rule.type === "a" ? (["b", "c"] as const) : [rule.type];
    for (const type of types) {
      const { major, minor, access } = rule;
      if (!rule.allow) {
        const rest = without(list, { type, major, minor, access });
        if (!rest) return undefined;
        list = rest;
      } else if (major === undefined && minor !== undefined) return undefined;
      else list = [...list, { type, major, minor, access }];
    }
  }
  return merged(list);
}

const covers = (outer: number | undefined, inner: number | undefined) =>
  outer === undefined || outer === inner;

/** The list after a denial; undefined if it cuts a piece out of something wider. */
function without(list: readonly Allowed[], denied: Allowed): readonly Allowed[] | undefined {
  const rest: Allowed[] = [];
  for (const one of list) {
    const apart =
      one.type !== denied.type ||
      (one.access & denied.access) === 0 ||
      (!covers(one.major, denied.major) && !covers(denied.major, one.major)) ||
      (!covers(one.minor, denied.minor) && !covers(denied.minor, one.minor));
    if (apart) rest.push(one);
    else if (covers(denied.major, one.major) && covers(denied.minor, one.minor)) {
      const access = one.access & ~denied.access;
      if (access !== 0) rest.push({ ...one, access });
    } else return undefined;
  }
  return rest;
}

/** One entry a device. */
function merged(list: readonly Allowed[]): readonly Allowed[] {
  const byPattern = new Map<string, Allowed>();
  for (const one of list) {
    const pattern = patternOf(one);
    byPattern.set(pattern, { ...one, access: one.access | (byPattern.get(pattern)?.access ?? 0) });
  }
  return [...byPattern.values()];
}

/** A node need not be there, and a number stands for the name of a group (systemd 242 and later). */
function patternOf({ type, major, minor }: Allowed): string {
  if (major === undefined) return `${node[type]}-*`;
  return minor === undefined ? `${node[type]}-${major}` : `/dev/${node[type]}/${major}:${minor}`;
}

function accessLetters(access: number): string {
  const letters = { r: deviceAccess.read, w: deviceAccess.write, m: deviceAccess.mknod };
  return Object.entries(letters)
    .map(([letter, bit]) => (access & bit ? letter : ""))
    .join("");
}
