/**
 * User and group id maps of user namespaces (user_namespaces(7)): checks, the text for
 * /proc/PID/uid_map, translation, and subordinate ranges of /etc/subuid.
 */
import { GantryError } from "../base/error.ts";

/** One range, field names as in an OCI config. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** The kernel takes so many lines in one map (since Linux 4.15). */
export const maxIdMapLines = 340;

const idCount = 2 ** 32;

function overlap(a: number, aSize: number, b: number, bSize: number): boolean {
  return a < b + bSize && b < a + aSize;
}

/** Fails on what the kernel would refuse with a bare EINVAL: empty, too many, out of range, overlapping. */
export function checkIdMap(mappings: readonly IdMapping[], what: "uid" | "gid"): void {
  const refuse = (reason: string): never => {
    throw new GantryError("invalid-argument", `check ${what} map: ${reason}`);
  };
  if (mappings.length === 0) refuse("no range");
  if (mappings.length > maxIdMapLines) refuse(`${mappings.length} ranges, the kernel takes ${maxIdMapLines}`);
  for (const [i, { containerID, hostID, size }] of mappings.entries()) {
    if (![containerID, hostID, size].every((n) => Number.isInteger(n) && n >= 0))
      refuse(`range ${i} is not of ids`);
    if (size === 0) refuse(`range ${i} is empty`);
    // 4294967295 is (uid_t) -1, "no id"
    if (containerID + size >= idCount || hostID + size >= idCount)
      refuse(`range ${i} goes beyond the last id`);
    for (const other of mappings.slice(0, i))
      if (
        overlap(containerID, size, other.containerID, other.size) ||
        overlap(hostID, size, other.hostID, other.size)
      )
        refuse(`range ${i} overlaps another`);
  }
}

/** What is written to uid_map or gid_map, in one write. */
export function idMapText(mappings: readonly IdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
}

/** The text of /proc/PID/uid_map -> ranges. */
export function parseIdMap(text: string): readonly IdMapping[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [containerID, hostID, size, ...rest] = line.trim().split(/\s+/).map(Number);
      if (rest.length > 0 || ![containerID, hostID, size].every((n) => Number.isInteger(n) && n! >= 0))
        throw new GantryError(
          "data-loss",
          `parse id map: malformed line ${JSON.stringify(line.slice(0, 100))}`,
        );
      return { containerID: containerID!, hostID: hostID!, size: size! };
    });
}

/** The host's id for an id inside; undefined if it is not mapped. */
export function toHostId(mappings: readonly IdMapping[], id: number): number | undefined {
  const range = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return range && range.hostID + (id - range.containerID);
}

/** The id inside for a host's id; undefined if it is not mapped. */
export function toContainerId(mappings: readonly IdMapping[], id: number): number | undefined {
  const range = mappings.find(({ hostID, size }) => id >= hostID && id < hostID + size);
  return range && range.containerID + (id - range.hostID);
}

/** A range that a user may map: a line of /etc/subuid or /etc/subgid (subuid(5)). */
export interface SubordinateRange {
  readonly start: number;
  readonly size: number;
}

/** The ranges of a user, who stands in the file by name or by uid. Malformed lines are passed over. */
export function subordinateRanges(text: string, userName: string, uid: number): readonly SubordinateRange[] {
  const ranges: SubordinateRange[] = [];
  for (const line of text.split("\n")) {
    const [owner, start, size, ...rest] = line.split(":");
    if (rest.length > 0 || (owner !== userName && owner !== String(uid))) continue;
    if (!/^\d+$/.test(start ?? "") || !/^\d+$/.test(size ?? "")) continue;
    if (Number(size) > 0) ranges.push({ start: Number(start), size: Number(size) });
  }
  return ranges;
}
