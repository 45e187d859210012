/** Every verb of the OCI command line: Gantry's, crun's and runc's, in turn, for containers of several kinds. */
import { command } from "../../test/lib/command.ts";
import { until } from "../../test/lib/until.ts";
import { median } from "../measure.ts";
import { show, type Table } from "../report.ts";
import { makeBundle, openRuntimes, type Runtime, variants } from "../runtimes.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

const verbs = ["run", "create", "start", "state", "exec", "kill", "delete"] as const;
type Verb = (typeof verbs)[number];
/** What is timed: the verbs, and one for which Gantry keeps what it compiled the first time. */
const measured = [...verbs.slice(0, 5), "exec again", ...verbs.slice(5)] as const;
type Measured = Verb | "exec again";

export async function runtimeRow(setting: Setting): Promise<Table> {
  const runtimes = await openRuntimes(setting);
  const rows: string[][] = [];
  for (const [variant, change] of Object.entries(variants)) {
    const short = await makeBundle(setting, `short ${variant}`, ["true"], change);
    const long = await makeBundle(setting, `long ${variant}`, ["sleep", "1000"], change);
    const ms = new Map(runtimes.map(({ name }) => [name, new Map<Measured, number[]>()]));
    for (let round = -1; round < setting.options.runs; round++)
      for (const runtime of runtimes) {
        const figures = await oneLife(runtime, short, long);
        if (round < 0) continue;
        const known = ms.get(runtime.name)!;
        for (const [verb, figure] of figures) known.set(verb, [...(known.get(verb) ?? []), figure]);
      }
    for (const verb of measured as readonly Measured[]) {
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

let lives = 0;

/** One run, and one container through all verbs; milliseconds of each. */
async function oneLife({ argv, name }: Runtime, short: string, long: string): Promise<Map<Measured, number>> {
  const figures = new Map<Measured, number>();
  const id = `gantry-bench-${process.pid}-${name}-${++lives}`;
  const timed = async (verb: Verb, ...args: readonly string[]) => {
    const started = performance.now();
    await quickly([...argv, verb, ...args], {}, "ignore");
    return performance.now() - started;
  };
  const note = async (name: Measured, figure: Promise<number>) => figures.set(name, await figure);
  await note("run", timed("run", "--bundle", short, id));
  await note("create", timed("create", "--bundle", long, id));
  try {
    await note("start", timed("start", id));
    await note("state", timed("state", id));
    await note("exec", timed("exec", id, "true"));
    await note("exec again", timed("exec", id, "true"));
    await note("kill", timed("kill", id, "KILL"));
    const stopped = async () => (await command([...argv, "state", id])).stdout.includes('"stopped"');
    await until("the container to stop", stopped);
    await note("delete", timed("delete", id));
  } catch (error) {
    await command([...argv, "delete", "--force", id]);
    throw error;
  }
  return figures;
}
