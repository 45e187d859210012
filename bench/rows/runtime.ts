/** Every verb of the OCI command line: Gantry's, crun's and runc's, in turn, for containers of several kinds. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { command } from "../../test/lib/command.ts";
import { until } from "../../test/lib/until.ts";
import { median } from "../measure.ts";
import { show, type Table } from "../report.ts";
import { makeBundle, openRuntimes, type Runtime, variants } from "../runtimes.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

/**
 * What is timed. Gantry keeps plans: of a run and a create for the next container of the kind, of an exec for the next
 * one in the container. So these are timed as the first of their kind, and again.
 */
const measured = [
  ...["run, first of its kind", "run, again", "create, first of its kind", "create, again"],
  ...["start", "state", "exec, first in the container", "exec, again", "kill", "delete"],
] as const;

export async function runtimeRow(setting: Setting): Promise<Table> {
  const runtimes = await openRuntimes(setting);
  const rows: string[][] = [];
  for (const [variant, change] of Object.entries(variants)) {
    const short = await makeBundle(setting, `short ${variant}`, ["true"], change);
    const long = await makeBundle(setting, `long ${variant}`, ["sleep", "1000"], change);
    const ms = new Map(runtimes.map(({ name }) => [name, new Map<string, number[]>()]));
    for (const life of [firsts, oneLife])
      for (let round = -warmUp; round < setting.options.runs; round++)
        for (const runtime of runtimes) {
          const figures = await life(runtime, short, long);
          if (round < 0) continue;
          const known = ms.get(runtime.name)!;
          for (const [verb, figure] of figures) known.set(verb, [...(known.get(verb) ?? []), figure]);
        }
    for (const verb of measured) {
      const medians = runtimes.map(({ name }) => median(ms.get(name)!.get(verb) ?? []));
      const [ours = Number.NaN, ...others] = medians;
      const ratios = others.map((other) => (ours / other).toFixed(2));
      rows.push([`${verb}, ${variant}`, ...medians.map((figure) => show(figure)), ...ratios]);
    }
  }
  const names = runtimes.map(({ name }) => name);
  return {
    title: "Runtime",
    about: `every verb with \`true\`, medians of ${setting.options.runs} in ms; budget: run <= 1.0 x crun, with seccomp <= 0.5 x, exec <= 1.0 x`,
    head: ["", ...names, ...names.slice(1).map((name) => `/ ${name}`)],
    rows,
  };
}

/** Rounds that are not counted: a plan is kept when it is asked for the second time. */
const warmUp = 2;
let lives = 0;

const idOf = ({ name }: Runtime) => `gantry-bench-${process.pid}-${name}-${String(++lives).padStart(6, "0")}`;

async function timed(argv: readonly string[]): Promise<number> {
  const started = performance.now();
  await quickly(argv, {}, "ignore");
  return performance.now() - started;
}

/** A run and a create of which nothing was kept; milliseconds of each. */
async function firsts({ argv, root, ...runtime }: Runtime, short: string, long: string) {
  const figures = new Map<string, number>();
  const [one, other] = [idOf({ argv, root, ...runtime }), idOf({ argv, root, ...runtime })];
  const forget = () => rmSync(join(root, ".plans"), { recursive: true, force: true });
  forget();
  figures.set("run, first of its kind", await timed([...argv, "run", "--bundle", short, one]));
  forget();
  try {
    figures.set("create, first of its kind", await timed([...argv, "create", "--bundle", long, other]));
  } finally {
    await command([...argv, "delete", "--force", other]);
  }
  return figures;
}

/** One run, and one container through all verbs; milliseconds of each. */
async function oneLife(runtime: Runtime, short: string, long: string): Promise<Map<string, number>> {
  const { argv } = runtime;
  const figures = new Map<string, number>();
  const id = idOf(runtime);
  const note = async (what: string, ...args: readonly string[]) =>
    figures.set(what, await timed([...argv, ...args]));
  await note("run, again", "run", "--bundle", short, id);
  await note("create, again", "create", "--bundle", long, id);
  try {
    await note("start", "start", id);
    await note("state", "state", id);
    await note("exec, first in the container", "exec", id, "true");
    await note("exec, again", "exec", id, "true");
    await note("kill", "kill", id, "KILL");
    const stopped = async () => (await command([...argv, "state", id])).stdout.includes('"stopped"');
    await until("the container to stop", stopped);
    await note("delete", "delete", id);
  } catch (error) {
    await command([...argv, "delete", "--force", id]);
    throw error;
  }
  return figures;
}
