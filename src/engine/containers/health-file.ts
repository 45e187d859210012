/** What is known of the health of a container that runs: a file on the run-time side, which its keeper writes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { decodeJson } from "../../base/decode.ts";
import { errnoOf, wrapErrno } from "../../base/error.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { type Health, healthState, noProbeYet } from "./health-check.ts";

const limitBytes = 64 * 1024;

const pathOf = (internals: Internals, id: string) =>
  join(internals.containers.stateDirectory(id), "health.json");

/** Of a container that runs or has run; undefined if nothing is checked. It is gone with the next start. */
export function readHealth(internals: Internals, record: ContainerRecord): Health | undefined {
  if (!record.healthCheck) return undefined;
  const path = pathOf(internals, record.id);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return noProbeYet;
    throw wrapErrno(error, "read health", path);
  }
  return decodeJson(bytes, healthState, path, limitBytes);
}

export function writeHealth(internals: Internals, id: string, health: Health): void {
  writeFileAtomic(pathOf(internals, id), JSON.stringify(health));
}
