/** /proc/PID/mountinfo (proc_pid_mountinfo(5)): text to mounts. */
import { GantryError } from "../base/error.ts";

export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  readonly major: number;
  readonly minor: number;
  /** The directory of the file system that is the root of this mount. */
  readonly root: string;
  readonly mountPoint: string;
  /** Per-mount options: "rw", "nosuid", … */
  readonly options: readonly string[];
  /** Propagation: "shared:1", "master:2", "propagate_from:3", "unbindable". */
  readonly tags: readonly string[];
  readonly fsType: string;
  readonly source: string;
  /** Per-superblock options. */
  readonly superOptions: readonly string[];
}

/** Undoes the kernel's octal escapes: "\040" is a space. The bytes of other characters are kept as they are. */
function withoutEscapes(text: string): string {
  return text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    : text;
}

/** One line, or undefined if it is not of the documented form. */
export function parseMountLine(line: string): MountEntry | undefined {
  const fields = line.split(" ");
  const dash = fields.indexOf("-", 6);
  const device = /^(\d+):(\d+)$/.exec(fields[2] ?? "");
  const id = Number(fields[0]);
  const parentId = Number(fields[1]);
  const source = fields[dash + 2];
  if (dash < 0 || !device || !Number.isInteger(id) || !Number.isInteger(parentId) || source === undefined)
    return undefined;
  return {
    id,
    parentId,
    major: Number(device[1]),
    minor: Number(device[2]),
    root: withoutEscapes(fields[3]!),
    mountPoint: withoutEscapes(fields[4]!),
    options: fields[5]!.split(","),
    tags: fields.slice(6, dash),
    fsType: withoutEscapes(fields[dash + 1]!),
    source: withoutEscapes(source),
    superOptions: (fields[dash + 3] ?? "").split(",").map(withoutEscapes),
  };
}

/** All mounts, in the order in which the kernel lists them. */
export function parseMountinfo(text: string): readonly MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const entry = parseMountLine(line);
    if (entry === undefined)
      throw new GantryError(
        "data-loss",
        `parse mountinfo: malformed line ${JSON.stringify(line.slice(0, 200))}`,
      );
    entries.push(entry);
  }
  return entries;
}

/** The mount that `path` (absolute, resolved) lies on: the longest mount point above it, the topmost of several. */
export function mountOf(entries: readonly MountEntry[], path: string): MountEntry | undefined {
  let best: MountEntry | undefined;
  for (const entry of entries) {
    const below =
      entry.mountPoint === "/" || path === entry.mountPoint || path.startsWith(`${entry.mountPoint}/`);
    if (below && (best === undefined || entry.mountPoint.length >= best.mountPoint.length)) best = entry;
  }
  return best;
}
