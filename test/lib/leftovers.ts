/**
 * What a test left on the machine: mounts, processes, control groups, network interfaces.
 *
 * Mounts and processes are recognised by the sandbox's own folder, which stands in their command line, their
 * environment or the mounts they see. Control groups and interfaces do not tell whose they are, and other tests
 * may run at the same time: new ones count only if they are still there, and unused, after a while.
 */
import { readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { command } from "./command.ts";
import { until } from "./until.ts";

export interface Leftover {
  readonly kind: "mount" | "process" | "cgroup" | "interface";
  /** Mount point, pid, folder, interface name. */
  readonly name: string;
  readonly about: string;
}

export interface Snapshot {
  readonly dir: string;
  readonly cgroups: ReadonlySet<string>;
  readonly interfaces: ReadonlySet<string>;
}

/** Remembers what is there before the test that works below `dir`. */
export function snapshot(dir: string): Snapshot {
  return { dir, cgroups: new Set(cgroups()), interfaces: new Set(interfaces()) };
}

/**
 * What is there now that was not there before and has no business to be. What is just going away is waited for, and
 * what came later than the first look belongs to others.
 */
export async function leftovers(before: Snapshot, settleMs = 3000): Promise<Leftover[]> {
  let found = look(before);
  const gone = () => {
    const still = new Set(look(before).map(keyOf));
    found = found.filter((one) => still.has(keyOf(one)));
    return found.length === 0;
  };
  await until("everything is gone", gone, settleMs).catch(() => {});
  return found;
}

function keyOf({ kind, name }: Leftover): string {
  return `${kind} ${name}`;
}

/** Takes leftovers away, so that one failing test does not spoil the next. */
export async function sweep(found: readonly Leftover[]): Promise<void> {
  for (const { name } of found.filter(({ kind }) => kind === "process")) {
    try {
      process.kill(Number(name), "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  for (const { name } of found.filter(({ kind }) => kind === "mount").reverse()) {
    await command(["umount", "-l", name]);
  }
  // Children first; a group whose last process is just dying is busy for a moment.
  const groups = found.filter(({ kind }) => kind === "cgroup").map(({ name }) => name);
  for (const path of groups.sort().reverse()) {
    await until(`remove ${path}`, () => removed(path), 2000).catch(() => {});
  }
  for (const { name } of found.filter(({ kind }) => kind === "interface")) {
    await command(["ip", "link", "delete", name]).catch(() => {});
  }
}

function look(before: Snapshot): Leftover[] {
  return [
    ...mountsBelow(before.dir),
    ...processesOf(before.dir),
    ...cgroups()
      .filter((path) => !before.cgroups.has(path) && isUnused(path))
      .map((name): Leftover => ({ kind: "cgroup", name, about: "holds no process" })),
    ...interfaces()
      .filter((name) => !before.interfaces.has(name))
      .map((name): Leftover => ({ kind: "interface", name, about: "new" })),
  ];
}

function mountsBelow(dir: string): Leftover[] {
  return text("/proc/self/mountinfo")
    .split("\n")
    .filter((line) => line.includes(dir))
    .map((line) => ({ kind: "mount", name: line.split(" ")[4] ?? "", about: line.split(" - ")[1] ?? "" }));
}

/** Processes started with the folder in their arguments or environment, or living on mounts from it. */
function processesOf(dir: string): Leftover[] {
  const ownMounts = link("/proc/self/ns/mnt");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid): Leftover[] => {
      const at = join("/proc", pid);
      const words = text(join(at, "cmdline")).replaceAll("\0", " ").trim();
      const own = words.includes(dir) || text(join(at, "environ")).includes(`=${dir}`);
      const mountsOfIts = link(join(at, "ns/mnt"));
      const lives =
        mountsOfIts !== "" && mountsOfIts !== ownMounts && text(join(at, "mountinfo")).includes(dir);
      return own || lives ? [{ kind: "process", name: pid, about: words }] : [];
    });
}

/** The control groups of Gantry's containers in all hierarchies, by folder. Their parent stays, as docker's does. */
function cgroups(): string[] {
  const root = "/sys/fs/cgroup";
  const children = (path: string) =>
    entries(path)
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name));
  const walk = (path: string): string[] => children(path).flatMap((child) => [child, ...walk(child)]);
  const parents = [root, ...children(root)].map((hierarchy) => join(hierarchy, "gantry"));
  return parents.flatMap(walk);
}

function isUnused(path: string): boolean {
  return text(join(path, "cgroup.procs")) === "" && entries(path).every((entry) => !entry.isDirectory());
}

function interfaces(): string[] {
  return entries("/sys/class/net").map((entry) => entry.name);
}

function removed(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

function entries(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Empty where the process or file went away in the meantime. */
function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
