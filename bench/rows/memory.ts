/** Resident memory that one idle container adds beside its own process: shims, monitors. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { Peer } from "../peers/peer.ts";
import type { Table } from "../report.ts";
import type { Setting } from "../setting.ts";

const containers = 5;

export async function memoryRow(setting: Setting): Promise<Table> {
  const rows: string[][] = [];
  for (const engine of await setting.engines()) rows.push(await measure(engine));
  const about = `${containers} containers that sleep, per container, from smaps_rollup; budget: <= 1 MB resident`;
  return { title: "Memory", about, head: ["", "RSS MB", "PSS MB", "processes", "programs"], rows };
}

async function measure(engine: Peer): Promise<string[]> {
  const before = new Set(pids());
  const names = Array.from({ length: containers }, (_, index) => `bench-idle-${index}`);
  const started: string[] = [];
  try {
    for (const name of names) {
      await engine.startIdle(name);
      started.push(name);
    }
    // Only processes in the host's pid namespace count, which leaves out the containers' own.
    const isMonitor = (pid: string) => engine.monitor.test(text(join("/proc", pid, "cmdline")));
    const own = readlinkSync("/proc/self/ns/pid");
    const added = pids().filter((pid) => !before.has(pid) && pidNamespace(pid) === own && isMonitor(pid));
    const sum = (field: string) =>
      added.reduce((total, pid) => total + kilobytes(pid, field), 0) / containers / 1024;
    const programs = [...new Set(added.map((pid) => text(join("/proc", pid, "comm")).trim()))].join(" ");
    const each = (added.length / containers).toFixed(1);
    return [engine.name, sum("Rss").toFixed(2), sum("Pss").toFixed(2), each, programs];
  } finally {
    for (const name of started) await engine.removeIdle(name);
  }
}

function pids(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

/** The namespace a process lives in, not the one it gives its children. */
function pidNamespace(pid: string): string {
  try {
    return readlinkSync(join("/proc", pid, "ns/pid"));
  } catch {
    return "";
  }
}

function kilobytes(pid: string, field: string): number {
  return Number(
    new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text(join("/proc", pid, "smaps_rollup")))?.[1] ?? 0,
  );
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
