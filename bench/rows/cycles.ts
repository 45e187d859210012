/** 1,000 containers through create, start and delete, by 8 workers of one OCI runtime. */
import { command } from "../../test/lib/command.ts";
import { leftovers, snapshot, sweep } from "../../test/lib/leftovers.ts";
import { quantile } from "../measure.ts";
import { show, type Table } from "../report.ts";
import { makeBundle, openRuntimes, type Runtime, variants } from "../runtimes.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

const workers = 8;

export async function cyclesRow(setting: Setting): Promise<Table> {
  const bundle = await makeBundle(setting, "short plain", ["true"], variants.plain!);
  const rows: string[][] = [];
  for (const runtime of await openRuntimes(setting)) rows.push(await cycles(setting, runtime, bundle));
  return {
    title: "Cycles",
    about: `${setting.options.cycles} x create, start, delete --force by ${workers} workers; budget: none failed, nothing left`,
    head: ["", "p50 ms", "p99 ms", "all s", "per s", "failed", "left"],
    rows,
  };
}

async function cycles(setting: Setting, { name, argv }: Runtime, bundle: string): Promise<string[]> {
  const before = snapshot(setting.dir);
  // what others leave meanwhile is not of this run
  const standing = new Set((await leftovers(before, 0)).map(({ kind, name: what }) => `${kind} ${what}`));
  const ms: number[] = [];
  const failures: string[] = [];
  let open = setting.options.cycles;
  const worker = async () => {
    while (open > 0) {
      const id = `gantry-bench-${process.pid}-${name}-cycle-${open--}`;
      const started = performance.now();
      try {
        await quickly([...argv, "create", "--bundle", bundle, id], {}, "ignore");
        await quickly([...argv, "start", id], {});
        await quickly([...argv, "delete", "--force", id], {});
        ms.push(performance.now() - started);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
        await command([...argv, "delete", "--force", id]);
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: workers }, worker));
  const all = performance.now() - started;
  const left = (await leftovers(before, 3000)).filter(
    ({ kind, name: what }) => !standing.has(`${kind} ${what}`),
  );
  await sweep(left.filter(({ kind }) => kind !== "process"));
  for (const reason of new Set(failures)) console.error(`${name}: ${reason}`);
  for (const { kind, name: what, about } of left) console.error(`${name} left ${kind} ${what} (${about})`);
  const figures = [
    show(quantile(ms, 0.5)),
    show(quantile(ms, 0.99)),
    show(all, "s"),
    (ms.length / (all / 1000)).toFixed(1),
  ];
  return [name, ...figures, String(failures.length), String(left.length)];
}
