/** Looking at many containers, and what the processes beside them take. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { median } from "../measure.ts";
import type { Peer } from "../peers/peer.ts";
import { show, type Table } from "../report.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

const clients = 8;
const looks = 5;
const counts = [1, 100, 500] as const;

export async function manyRow(setting: Setting): Promise<Table> {
  const { many } = setting.options;
  const steps = [...counts.filter((count) => count < many), many];
  const rows: string[][] = [];
  for (const engine of await setting.engines()) rows.push(await measure(engine, steps));
  return {
    title: "Many",
    about: `ps and stats with ${many} containers that sleep, medians of ${looks} in ms; PSS of daemons, shims and monitors in MB`,
    head: ["", "ps", "stats", ...steps.map((count) => `MB at ${count}`)],
    rows,
  };
}

async function measure(engine: Peer, steps: readonly number[]): Promise<string[]> {
  const started: string[] = [];
  const memory: string[] = [];
  try {
    for (const count of steps) {
      await inParallel(count - started.length, async () => {
        const name = `bench-many-${started.length}`;
        started.push(name);
        await engine.startIdle(name);
      });
      memory.push(monitorMegabytes(engine).toFixed(1));
    }
    const ps = await looking(engine, engine.list);
    const stats = engine.stats ? await looking(engine, engine.stats) : "-";
    return [engine.name, ps, stats, ...memory];
  } finally {
    await inParallel(started.length, () => engine.removeIdle(started.pop()!));
  }
}

async function inParallel(count: number, work: () => Promise<void>): Promise<void> {
  let open = count;
  const client = async () => {
    while (open-- > 0) await work();
  };
  await Promise.all(Array.from({ length: clients }, client));
}

async function looking(engine: Peer, argv: readonly string[]): Promise<string> {
  const ms: number[] = [];
  for (let look = 0; look < looks; look++) {
    const started = performance.now();
    await quickly(argv, engine.env);
    ms.push(performance.now() - started);
  }
  return show(median(ms));
}

/** Of the engine's processes in this pid namespace, which leaves out the containers' own. */
function monitorMegabytes({ monitor, daemon }: Peer): number {
  const own = readlinkSync("/proc/self/ns/pid");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const line = text(pid, "cmdline");
      return (monitor.test(line) || daemon?.test(line)) && namespaceOf(pid) === own;
    })
    .reduce(
      (sum, pid) => sum + Number(/^Pss:\s+(\d+) kB/m.exec(text(pid, "smaps_rollup"))?.[1] ?? 0) / 1024,
      0,
    );
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(join("/proc", pid, "ns/pid"));
  } catch {
    return "";
  }
}

function text(pid: string, name: string): string {
  try {
    return readFileSync(join("/proc", pid, name), "utf8");
  } catch {
    return "";
  }
}
