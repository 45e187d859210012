/** `process.capabilities` -> masks; what neither this kernel nor this process can give is passed over. */
import { refuse } from "../../base/decode.ts";
import { capabilitiesOfMask, capabilityMask, capabilityNumber } from "../../linux/capabilities.ts";
import type { Draft } from "./draft.ts";
import type { NamespacePlan } from "./namespaces.ts";

type SetName = "bounding" | "effective" | "inheritable" | "permitted" | "ambient";

export type CapabilityMasks = Readonly<Record<SetName, bigint>>;

/**
 * runtime-spec 1.1 and later: a capability that cannot be granted is a warning, not a failure. In a
 * user namespace of its own the container can have every one.
 */
export function readCapabilities(draft: Draft, namespaces: NamespacePlan): CapabilityMasks {
  const sets = draft.config.process?.capabilities ?? {};
  const known = (1n << BigInt(draft.facts.lastCapability + 1)) - 1n;
  const grantable = namespaces.private.has("user") ? known : known & draft.facts.capabilities;
  const warned = new Set<string>();
  const warn = (name: string, pointer: string, why: string) => {
    if (!warned.has(name)) draft.warn(`capability ${name} ${why} and is left out`, pointer);
    warned.add(name);
  };
  const read = (set: SetName): bigint => {
    const names = sets[set] ?? [];
    const { mask, unknown } = capabilityMask(names);
    const pointer = (name: string) => `/process/capabilities/${set}/${names.indexOf(name)}`;
    for (const name of unknown) warn(name, pointer(name), "is not known");
    for (const name of capabilitiesOfMask(mask & ~known))
      warn(name, pointer(name), "is not known to this kernel");
    for (const name of capabilitiesOfMask(mask & known & ~grantable))
      warn(name, pointer(name), "is not held by this process");
    return mask & grantable;
  };
  const masks = {
    bounding: read("bounding"),
    effective: read("effective"),
    inheritable: read("inheritable"),
    permitted: read("permitted"),
    ambient: read("ambient"),
  };
  checkSets(masks, sets);
  // runc's own `spec` asks for ambient ones without inheritable ones; the kernel gives none then
  const ambient = masks.ambient & masks.permitted & masks.inheritable;
  for (const name of capabilitiesOfMask(masks.ambient & ~ambient))
    draft.warn(
      `ambient capability ${name} is not in the permitted and inheritable sets and is left out`,
      `/process/capabilities/ambient/${sets.ambient!.indexOf(name)}`,
    );
  return { ...masks, ambient };
}

/** What capset(2) and prctl(2) would refuse with a bare EPERM. */
function checkSets(masks: CapabilityMasks, sets: Partial<Record<SetName, readonly string[]>>): void {
  const inside = (inner: SetName, outer: SetName) => {
    const [name] = capabilitiesOfMask(masks[inner] & ~masks[outer]);
    if (name === undefined) return;
    const index = (sets[inner] ?? []).findIndex(
      (other) => capabilityNumber(other) === capabilityNumber(name),
    );
    refuse(`/process/capabilities/${inner}/${index}`, `${name} is not in the ${outer} set`);
  };
  inside("effective", "permitted");
}

export function dropBounding(draft: Draft, masks: CapabilityMasks): void {
  draft.child.push({
    op: "drop-bounding",
    where: "/process/capabilities/bounding",
    phrase: "unable to apply bounding set",
    keep: masks.bounding,
  });
}

export function setCapabilities(draft: Draft, masks: CapabilityMasks): void {
  const { effective, permitted, inheritable, ambient } = masks;
  draft.child.push({
    op: "set-capabilities",
    where: "/process/capabilities",
    phrase: "unable to apply caps",
    effective,
    permitted,
    inheritable,
    ambient,
  });
}
