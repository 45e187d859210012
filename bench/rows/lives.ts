/** Whole lives of containers, a command a step, by 8 clients. */
import { leftovers, snapshot, sweep } from "../../test/lib/leftovers.ts";
import { quantile } from "../measure.ts";
import type { Peer } from "../peers/peer.ts";
import { show, type Table } from "../report.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

const clients = 8;
/** Others are some ten times slower: as many as tell how fast they are. */
const othersPart = 10;

export async function livesRow(setting: Setting): Promise<Table> {
  const { cycles } = setting.options;
  const rows: string[][] = [];
  for (const engine of await setting.engines())
    rows.push(
      await lives(setting, engine, engine.name === "gantry" ? cycles : Math.ceil(cycles / othersPart)),
    );
  return {
    title: "Lives",
    about: `create, start, stop, rm by ${clients} clients; budget: none failed, nothing left`,
    head: ["", "lives", "p50 ms", "p99 ms", "per s", "failed", "left"],
    rows,
  };
}

async function lives(setting: Setting, engine: Peer, count: number): Promise<string[]> {
  const before = snapshot(setting.dir);
  const standing = new Set((await leftovers(before, 0)).map(({ kind, name }) => `${kind} ${name}`));
  const ms: number[] = [];
  const failures: string[] = [];
  let open = count;
  const client = async () => {
    while (open > 0) {
      const steps = engine.life(`bench-life-${open--}`) ?? [];
      const started = performance.now();
      try {
        for (const step of steps) await quickly(step, engine.env, "ignore");
        ms.push(performance.now() - started);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - started) / 1000;
  const left = (await leftovers(before, 3000)).filter(({ kind, name }) => !standing.has(`${kind} ${name}`));
  await sweep(left.filter(({ kind }) => kind !== "process"));
  for (const reason of new Set(failures)) console.error(`${engine.name}: ${reason}`);
  for (const { kind, name } of left) console.error(`${engine.name} left ${kind} ${name}`);
  const figures = [show(quantile(ms, 0.5)), show(quantile(ms, 0.99)), (ms.length / seconds).toFixed(1)];
  return [engine.name, String(count), ...figures, String(failures.length), String(left.length)];
}
