/** What is known of the health of a container that runs: a file on the run-time side, which its keeper writes. */
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { readRecordFile } from "../../base/record-file.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { type Health, healthState, noProbeYet } from "./health-check.ts";

const limitBytes = 64 * 1024;

const pathOf = (internals: Internals, id: string) =>
  join(internals.containers.stateDirectory(id), "health.json");

/** Of a container that runs or has run; undefined if nothing is checked. It is gone with the next start. */
export function readHealth(internals: Internals, record: ContainerRecord): Health | undefined {
  if (!record.healthCheck) return undefined;
  const form = { decoder: healthState, what: "health", limitBytes };
  return readRecordFile(pathOf(internals, record.id), form) ?? noProbeYet;
}

export function writeHealth(internals: Internals, id: string, health: Health): void {
  writeFileAtomic(pathOf(internals, id), JSON.stringify(health));
}
