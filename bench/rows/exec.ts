/** A further process in a container that runs: `true`, from asking to its end. */
import { openLibrary } from "../gantry.ts";
import { interleave } from "../measure.ts";
import { seriesTable, type Table } from "../report.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

const name = "bench-exec";

export async function execRow(setting: Setting): Promise<Table> {
  const engines = await setting.engines();
  const started: (typeof engines)[number][] = [];
  try {
    for (const engine of engines) {
      await engine.startIdle(name);
      started.push(engine);
    }
    const commands = engines.map((engine) => ({
      name: `${engine.name} exec`,
      run: () => quickly(engine.exec(name, ["true"]), engine.env).then(() => undefined),
    }));
    await using library = await openLibrary(`${setting.dir}/gantry`, `${setting.volatile}/gantry`);
    const own = engines.some((engine) => engine.name === "gantry")
      ? [{ name: "gantry library", run: () => library.exec(name) }]
      : [];
    const series = await interleave([...own, ...commands], setting.options.runs);
    return seriesTable("Exec", "`true` in a container that runs; budget: library <= 4 ms", series);
  } finally {
    for (const engine of started) await engine.removeIdle(name);
  }
}
