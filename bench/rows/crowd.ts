/** 100 containers started by 10 clients at the same time: how long each took, and what was left. */
import { leftovers, snapshot, sweep } from "../../test/lib/leftovers.ts";
import { quantile } from "../measure.ts";
import type { Peer } from "../peers/peer.ts";
import { show, type Table } from "../report.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

const clients = 10;
const containers = 100;

export async function crowdRow(setting: Setting): Promise<Table> {
  const rows: string[][] = [];
  for (const engine of await setting.engines()) {
    rows.push(await crowd(engine, setting.dir));
  }
  const about = `${containers} x run --rm \`true\` by ${clients} parallel clients; budget: none failed, nothing left`;
  return { title: "Crowd", about, head: ["", "p50 ms", "p99 ms", "all s", "failed", "left"], rows };
}

async function crowd(engine: Peer, dir: string): Promise<string[]> {
  const before = snapshot(dir);
  const standing = new Set((await leftovers(before, 0)).map(({ kind, name }) => `${kind} ${name}`));
  const ms: number[] = [];
  const failures: string[] = [];
  let open = containers;
  const client = async () => {
    while (open-- > 0) {
      const started = performance.now();
      try {
        await quickly(engine.runTrue(), engine.env);
        ms.push(performance.now() - started);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  const all = performance.now() - started;
  const left = (await leftovers(before, 3000)).filter(({ kind, name }) => !standing.has(`${kind} ${name}`));
  await sweep(left.filter(({ kind }) => kind !== "process"));
  for (const reason of new Set(failures)) console.error(`${engine.name}: ${reason}`);
  for (const { kind, name } of left) console.error(`${engine.name} left ${kind} ${name}`);
  const figures = [show(quantile(ms, 0.5)), show(quantile(ms, 0.99)), show(all, "s")];
  return [engine.name, ...figures, String(failures.length), String(left.length)];
}
