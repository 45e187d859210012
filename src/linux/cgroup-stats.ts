/**
 * What a container uses, in the form in which `events` tells of it: that of runc (types/events.go), whose members
 * that are 0 are left out.
 */
import { cgroupV1Stats } from "./cgroup-v1-stats.ts";
import { cgroupV2Stats } from "./cgroup-v2-stats.ts";
import { interfacesOf, type Members, type StatSources } from "./stat-texts.ts";

/** The `data` of an event of type stats. */
export function statsDocument(sources: StatSources): Members {
  const groups = sources.v1("cpu") || sources.v1("memory") ? cgroupV1Stats(sources) : cgroupV2Stats(sources);
  return { ...groups, intel_rdt: {}, network_interfaces: interfacesOf(sources.interfaces) };
}
