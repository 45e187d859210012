/** What a program prints: to an attached client, into the log, and out of it again. */
import { readFileSync } from "node:fs";
import { command } from "../../test/lib/command.ts";
import type { Peer } from "../peers/peer.ts";
import type { Table } from "../report.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

const attachedBytes = 2 ** 30;
const lineBytes = 100;
const loggedBytes = 100 * 2 ** 20;
const attached = ["head", "-c", String(attachedBytes), "/dev/zero"];
const logging = ["sh", "-c", `yes ${"x".repeat(lineBytes - 1)} | head -c ${loggedBytes}`];

export async function outputRow(setting: Setting): Promise<Table> {
  const rows: string[][] = [];
  for (const engine of await setting.engines()) rows.push(await measure(engine));
  return {
    title: "Output",
    about:
      `${attachedBytes / 2 ** 20} MB to an attached client, CPU of the whole machine; ` +
      `${loggedBytes / 2 ** 20} MB in lines of ${lineBytes} bytes into the log of the engine's own kind, and out of it`,
    head: ["", "attached GB/s", "CPU s per GB", "logged MB/s", "read MB/s"],
    rows,
  };
}

async function measure(engine: Peer): Promise<string[]> {
  const busy = cpuSeconds();
  const seconds = await timed(() => quickly(engine.runAttached("bench-output", attached), engine.env));
  const perGb = (cpuSeconds() - busy) / (attachedBytes / 1e9);
  return [engine.name, (attachedBytes / 1e9 / seconds).toFixed(2), perGb.toFixed(2), ...(await logs(engine))];
}

async function logs(engine: Peer): Promise<string[]> {
  const commands = engine.logged("bench-logs", logging);
  if (!commands) return ["-", "-"];
  const env = { env: { ...process.env, ...engine.env }, timeoutMs: 300_000 };
  try {
    const written = await timed(async () => {
      await quickly(commands.run, engine.env, "ignore");
      await quickly(commands.wait, engine.env);
    });
    let bytes = 0;
    const read = await timed(async () => {
      bytes = (await command(commands.logs, env)).stdout.length;
    });
    return [(loggedBytes / 1e6 / written).toFixed(0), (bytes / 1e6 / read).toFixed(0)];
  } finally {
    await engine.removeIdle("bench-logs");
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** All that the machine has done (proc_stat(5), 100 ticks a second): nothing else may run beside. */
function cpuSeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync("/proc/stat", "utf8")
    .split("\n")[0]!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / 100;
}
