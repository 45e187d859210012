/** `linux.resources` -> writes to the cgroups of cgroups.ts. */
import { refuse } from "../../base/decode.ts";
import { bug, GantryError } from "../../base/error.ts";
import type { CgroupWrite } from "../../linux/cgroup-values.ts";
import { compileDeviceFilter } from "../../linux/device-filter.ts";
import { deviceWritesV1, isForAll, parseDeviceRule, runtimeDeviceRules } from "../../linux/devices.ts";
import { type CgroupPlaces, type PlacedWrite, placeResources } from "../../linux/place-resources.ts";
import type { LinuxDeviceCgroup, LinuxResources } from "../../linux/resources.ts";
import type { HostFacts } from "../host-facts.ts";
import type { Step } from "../plan.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";
import { mayMountOnHost } from "./rootless.ts";

const where = "/linux/resources";
const phrase = "error setting cgroup config for procHooks process";

/** Runs a compiler of src/linux, whose pointers start at `linux.resources`. */
export function atResources<T>(compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof GantryError) || typeof error.detail.pointer !== "string") throw error;
    refuse(`${where}${error.detail.pointer}`, error.message);
  }
}

/** Where these cgroups are, in the words of src/linux. */
function placesOf(cgroups: readonly ContainerCgroup[], facts: HostFacts): CgroupPlaces {
  return {
    v1: new Set(cgroups.flatMap(({ controllers }) => controllers)),
    v2: cgroups.some(({ version }) => version === 2) ? facts.unifiedControllers : undefined,
  };
}

function registerOf(cgroups: readonly ContainerCgroup[], { version, controller }: PlacedWrite): string {
  const cgroup = cgroups.find((one) =>
    version === 2 ? one.version === 2 : one.controllers.includes(controller),
  );
  return cgroup?.register ?? bug(`no cgroup for ${controller}`);
}

/** The step for one write; `dir` holds the cgroup. */
export function writeStep(dir: string, write: CgroupWrite, at: string, words: string): Step {
  const { file, value, otherwise } = write;
  const common = { where: at, phrase: words, dir, file, value };
  // which of the two files there is depends on the IO scheduler
  return otherwise
    ? { op: "write-cgroup-either", ...common, otherwise: otherwise.file, otherValue: otherwise.value }
    : { op: "write-cgroup", ...common, optional: write.optional ? 1 : 0 };
}

/**
 * The v2 controllers to be enabled for the container. On a pure v2 machine all, which their files of usage need. On a
 * hybrid one those that limits are asked of: one that is in use there can no longer be mounted as v1, which others
 * of the machine may want to do (crun before 1.9 demands it).
 */
export function controllersToEnable(draft: Draft, cgroups: readonly ContainerCgroup[]): readonly string[] {
  const { unifiedControllers, cgroups: layout } = draft.facts;
  const { resources } = draft.linux;
  if (layout.mode !== "hybrid") return unifiedControllers;
  if (!resources || unifiedControllers.length === 0) return [];
  const { writes } = atResources(() => placeResources(placesOf(cgroups, draft.facts), resources));
  const asked = new Set(writes.filter(({ version }) => version === 2).map(({ controller }) => controller));
  return unifiedControllers.filter((name) => asked.has(name));
}

/** Limits, written while the child does not run its program yet. */
export function limitCgroups(draft: Draft, cgroups: readonly ContainerCgroup[]): void {
  const { resources } = draft.linux;
  if (resources) {
    const { writes, ignored } = atResources(() => placeResources(placesOf(cgroups, draft.facts), resources));
    for (const write of writes)
      draft.host.push(writeStep(registerOf(cgroups, write), write, `${where}${write.pointer}`, phrase));
    for (const pointer of ignored)
      draft.warn("has no meaning for the cgroups of this host and is left out", `${where}${pointer}`);
  }
  limitDevices(draft, cgroups);
}

/**
 * Nothing is allowed but what the config and the runtime allow; the last matching rule wins. Rules that
 * only repeat "everything is allowed" are left out.
 */
export function deviceRules(devices: LinuxResources["devices"]): readonly LinuxDeviceCgroup[] {
  const rules: readonly LinuxDeviceCgroup[] = [
    { allow: false },
    ...(devices ?? []).filter(({ type }) => type !== "p"),
    ...runtimeDeviceRules,
  ].map((rule) => (rule.type === "u" ? { ...rule, type: "c" } : rule));
  const parsed = atResources(() => rules.map(parseDeviceRule));
  const last = parsed.findLastIndex(isForAll);
  const allowsAll = parsed[last]!.allow && parsed.slice(last).every(({ allow }) => allow);
  return allowsAll ? [rules[last]!] : rules.slice(last);
}

function limitDevices(draft: Draft, cgroups: readonly ContainerCgroup[]): void {
  const at = `${where}/devices`;
  const rules = deviceRules(draft.linux.resources?.devices);
  const v1 = cgroups.find(({ controllers }) => controllers.includes("devices"));
  if (v1) {
    for (const { file, value } of deviceWritesV1(rules))
      draft.host.push({ op: "write-cgroup", where: at, phrase, dir: v1.register, file, value, optional: 0 });
    return;
  }
  const unified = cgroups.find(({ version }) => version === 2);
  const allowsAll = rules.length === 1 && rules[0]!.allow;
  // an unprivileged process may not load the program, and cannot make device nodes either
  if (!unified || allowsAll || !mayMountOnHost(draft.facts)) return;
  draft.host.push({
    op: "set-device-filter",
    where: at,
    phrase,
    dir: unified.register,
    program: compileDeviceFilter(rules),
  });
}
