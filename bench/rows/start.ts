/** Start `true`, wait, remove, without network: the floor, the library, and every engine's command. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../test/lib/command.ts";
import { busyboxTar } from "../../test/lib/fixtures.ts";
import { top } from "../../test/lib/sandbox.ts";
import { openLibrary } from "../gantry.ts";
import { type Contender, interleave } from "../measure.ts";
import { seriesTable, type Table } from "../report.ts";
import type { Setting } from "../setting.ts";
import { quickly } from "../spawn.ts";

export async function startRow(setting: Setting): Promise<Table> {
  const contenders: Contender[] = [await floor(setting)];
  const engines = await setting.engines();
  if (engines.some(({ name }) => name === "gantry") && existsSync(join(top, "dist/lib/index.js"))) {
    contenders.push(
      setting.use(await openLibrary(join(setting.dir, "gantry"), join(setting.volatile, "gantry"))),
    );
  }
  for (const { name, runTrue, env } of engines) {
    const run = async () => {
      await quickly(runTrue(), env);
      return undefined;
    };
    contenders.push({ name: `${name} run --rm`, run });
  }
  const series = await interleave(contenders, setting.options.runs);
  const about =
    "run `true`, wait, remove, no network; budget: library <= 2 x floor, `gantry run --rm` <= 20 ms";
  return seriesTable("Start", about, series);
}

/** The C program, on the same root file system; it takes its own time, without its start-up. */
async function floor(setting: Setting): Promise<Contender> {
  const program = join(top, "build/bench/floor");
  mkdirSync(join(program, ".."), { recursive: true });
  await must([
    "cc",
    "-O2",
    "-static",
    "-Wall",
    "-Wextra",
    "-Werror",
    join(top, "bench/floor.c"),
    "-o",
    program,
  ]);
  const [lower, scratch] = [join(setting.dir, "floor/lower"), join(setting.dir, "floor/scratch")];
  mkdirSync(lower, { recursive: true });
  mkdirSync(scratch, { recursive: true });
  await must(["tar", "-C", lower, "-xf", await busyboxTar()]);
  return { name: "floor", run: async () => Number(await must([program, lower, scratch])) };
}
