/** `linux.resources` -> writes to the cgroups of cgroups.ts. */
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { cgroupV1Values } from "../../linux/cgroup-v1-values.ts";
import { cgroupV2Values } from "../../linux/cgroup-v2-values.ts";
import type { CgroupValues, CgroupWrite } from "../../linux/cgroup-values.ts";
import { compileDeviceFilter } from "../../linux/device-filter.ts";
import { deviceWritesV1, isForAll, parseDeviceRule, runtimeDeviceRules } from "../../linux/devices.ts";
import type { LinuxDeviceCgroup } from "../../linux/resources.ts";
import { type HostFacts, holds } from "../host-facts.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";

const where = "/linux/resources";
const phrase = "error setting cgroup config for procHooks process";
const capSysAdmin = 21;

/** Runs a compiler of src/linux, whose pointers start at `linux.resources`. */
function atResources<T>(compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof GantryError) || typeof error.detail.pointer !== "string") throw error;
    refuse(`${where}${error.detail.pointer}`, error.message);
  }
}

function registerOf(
  cgroups: readonly ContainerCgroup[],
  facts: HostFacts,
  write: CgroupWrite,
  version: 1 | 2,
): string | undefined {
  const { controller } = write;
  if (version === 1) return cgroups.find(({ controllers }) => controllers.includes(controller))?.register;
  const unified = cgroups.find((cgroup) => cgroup.version === 2);
  // files of the core ("cgroup.…") need no controller
  return unified && (controller === "cgroup" || facts.unifiedControllers.includes(controller))
    ? unified.register
    : undefined;
}

function pushWrite(draft: Draft, dir: string, write: CgroupWrite): void {
  const at = `${where}${write.pointer}`;
  // which of the two files there is depends on the IO scheduler; the kernel has one of them
  const optional = write.optional || write.otherwise ? 1 : 0;
  draft.host.push({
    op: "write-cgroup",
    where: at,
    phrase,
    dir,
    file: write.file,
    value: write.value,
    optional,
  });
  if (write.otherwise)
    draft.host.push({ op: "write-cgroup", where: at, phrase, dir, ...write.otherwise, optional: 1 });
}

/** A fresh cgroup has no quota yet, so every period is good; a burst must not be above the quota. */
function isPremature(write: CgroupWrite): boolean {
  return write.provisional === true && write.file.endsWith("burst_us")
    ? true
    : write.provisional === true && write.file.endsWith(".burst");
}

/** The writes of one version; what it cannot place is handed back. */
function pushValues(
  draft: Draft,
  cgroups: readonly ContainerCgroup[],
  values: CgroupValues,
  version: 1 | 2,
  only?: ReadonlySet<string>,
): readonly CgroupWrite[] {
  const missing: CgroupWrite[] = [];
  for (const write of values.writes) {
    if (only && !only.has(write.controller)) continue;
    const register = registerOf(cgroups, draft.facts, write, version);
    if (register === undefined) missing.push(write);
    else if (!isPremature(write)) pushWrite(draft, register, write);
  }
  return missing;
}

/**
 * The v2 controllers to be enabled for the container. On a pure v2 machine all, which their files of usage need. On a
 * hybrid one those that limits are asked of: one that is in use there can no longer be mounted as v1, which others
 * of the machine may want to do (crun before 1.9 demands it).
 */
export function controllersToEnable(draft: Draft): readonly string[] {
  const { unifiedControllers, cgroups } = draft.facts;
  const { resources } = draft.linux;
  if (cgroups.mode !== "hybrid") return unifiedControllers;
  if (!resources || unifiedControllers.length === 0) return [];
  const { writes } = atResources(() =>
    cgroupV2Values(resources, { availableControllers: unifiedControllers }),
  );
  const asked = new Set(writes.map(({ controller }) => controller));
  return unifiedControllers.filter((name) => asked.has(name));
}

/** Limits, written while the child does not run its program yet. */
export function limitCgroups(draft: Draft, cgroups: readonly ContainerCgroup[]): void {
  const { resources } = draft.linux;
  const { mode } = draft.facts.cgroups;
  if (resources) {
    const version = mode === "v2" ? 2 : 1;
    const options = { availableControllers: draft.facts.unifiedControllers };
    const values = atResources(() =>
      version === 2 ? cgroupV2Values(resources, options) : cgroupV1Values(resources),
    );
    let missing = pushValues(draft, cgroups, values, version);
    if (mode === "hybrid" && (missing.length > 0 || resources.unified)) {
      // a controller without a v1 hierarchy may be in the v2 tree
      const others = new Set(missing.map(({ controller }) => controller));
      for (const key of Object.keys(resources.unified ?? {})) others.add(key.slice(0, key.indexOf(".")));
      missing = pushValues(
        draft,
        cgroups,
        atResources(() => cgroupV2Values(resources, options)),
        2,
        others,
      );
    }
    for (const write of missing)
      if (!write.optional)
        refuse(
          `${where}${write.pointer}`,
          `the cgroup controller "${write.controller}" is not available on this host`,
        );
    for (const pointer of values.ignored)
      draft.warn("has no meaning for the cgroups of this host and is left out", `${where}${pointer}`);
  }
  limitDevices(draft, cgroups);
}

/**
 * Nothing is allowed but what the config and the runtime allow; the last matching rule wins. Rules that
 * only repeat "everything is allowed" are left out.
 */
export function deviceRules(draft: Draft): readonly LinuxDeviceCgroup[] {
  const rules: readonly LinuxDeviceCgroup[] = [
    { allow: false },
    ...(draft.linux.resources?.devices ?? []).filter(({ type }) => type !== "p"),
    ...runtimeDeviceRules,
  ].map((rule) => (rule.type === "u" ? { ...rule, type: "c" } : rule));
  const parsed = atResources(() => rules.map(parseDeviceRule));
  const last = parsed.findLastIndex(isForAll);
  const allowsAll = parsed[last]!.allow && parsed.slice(last).every(({ allow }) => allow);
  return allowsAll ? [rules[last]!] : rules.slice(last);
}

function limitDevices(draft: Draft, cgroups: readonly ContainerCgroup[]): void {
  const at = `${where}/devices`;
  const rules = deviceRules(draft);
  const v1 = cgroups.find(({ controllers }) => controllers.includes("devices"));
  if (v1) {
    for (const { file, value } of deviceWritesV1(rules))
      draft.host.push({ op: "write-cgroup", where: at, phrase, dir: v1.register, file, value, optional: 0 });
    return;
  }
  const unified = cgroups.find(({ version }) => version === 2);
  const allowsAll = rules.length === 1 && rules[0]!.allow;
  // an unprivileged process may not load the program, and cannot make device nodes either
  if (!unified || allowsAll || !holds(draft.facts, capSysAdmin)) return;
  draft.host.push({
    op: "set-device-filter",
    where: at,
    phrase,
    dir: unified.register,
    program: compileDeviceFilter(rules),
  });
}
