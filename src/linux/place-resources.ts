/**
 * `linux.resources` -> writes, each with the version of the tree that takes it. On a hybrid machine that is the v1
 * hierarchy of the controller or, where there is none, the v2 tree beside them.
 */
import { cgroupV1Values } from "./cgroup-v1-values.ts";
import { cgroupV2Values } from "./cgroup-v2-values.ts";
import { type CgroupCheck, type CgroupWrite, type CurrentLimits, invalidResource } from "./cgroup-values.ts";
import type { LinuxResources } from "./resources.ts";

/** Where a container has cgroups. */
export interface CgroupPlaces {
  /** Controllers of the v1 hierarchies in which it has one. */
  readonly v1: ReadonlySet<string>;
  /** Controllers of the v2 tree, if it has a cgroup there. */
  readonly v2: readonly string[] | undefined;
}

export interface PlacedWrite extends CgroupWrite {
  readonly version: 1 | 2;
}

export interface PlacedCheck extends CgroupCheck {
  readonly version: 2;
}

export interface PlacedResources {
  readonly checks: readonly PlacedCheck[];
  readonly writes: readonly PlacedWrite[];
  /** Pointers to what has no meaning for these cgroups. */
  readonly ignored: readonly string[];
}

const on = <V extends 1 | 2, T>(version: V, items: readonly T[]) =>
  items.map((item) => ({ ...item, version }));

/**
 * Throws invalid-argument for a limit whose controller none of the places has. `current` is what living cgroups
 * have now; they are taken for fresh without it.
 */
export function placeResources(
  places: CgroupPlaces,
  resources: LinuxResources,
  current: CurrentLimits = {},
): PlacedResources {
  const { unified, ...others } = resources;
  // files of the core ("cgroup.…") need no controller
  const inV2 = (controller: string) =>
    places.v2 !== undefined && (controller === "cgroup" || places.v2.includes(controller));
  const v2Values = (what: LinuxResources) =>
    cgroupV2Values(what, { current, ...(places.v2 ? { availableControllers: places.v2 } : {}) });
  const missing = ({ controller, pointer }: CgroupWrite): never => {
    throw invalidResource(pointer, `the cgroup controller "${controller}" is not available on this host`);
  };

  if (places.v1.size === 0) {
    const values = v2Values(resources);
    const homeless = values.writes.find(({ controller, optional }) => !inV2(controller) && !optional);
    if (homeless) missing(homeless);
    return {
      checks: on(2, values.checks),
      writes: on(
        2,
        values.writes.filter(({ controller }) => inV2(controller)),
      ),
      ignored: values.ignored,
    };
  }
  const values = cgroupV1Values(places.v2 ? others : resources, current);
  const rest = values.writes.filter(({ controller }) => !places.v1.has(controller));
  const moved = new Set(rest.map(({ controller }) => controller).filter(inV2));
  const homeless = rest.find(({ controller, optional }) => !moved.has(controller) && !optional);
  if (homeless) missing(homeless);
  const raw = Object.keys(unified ?? {}).length > 0 ? v2Values({ unified }).writes : [];
  const second =
    moved.size > 0 ? v2Values(others).writes.filter(({ controller }) => moved.has(controller)) : [];
  return {
    checks: [],
    writes: [
      ...on(
        1,
        values.writes.filter(({ controller }) => places.v1.has(controller)),
      ),
      ...on(2, [...second, ...raw]),
    ],
    ignored: values.ignored,
  };
}
