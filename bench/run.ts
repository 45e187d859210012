/** Gantry beside podman, containerd and dockerd on this machine, in one run; `npm run bench -- --help` for how. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { machineFacts, type Table, tableText, writeResults } from "./report.ts";
import { crowdRow } from "./rows/crowd.ts";
import { cyclesRow } from "./rows/cycles.ts";
import { execRow } from "./rows/exec.ts";
import { footprintRow } from "./rows/footprint.ts";
import { livesRow } from "./rows/lives.ts";
import { manyRow } from "./rows/many.ts";
import { memoryRow } from "./rows/memory.ts";
import { outputRow } from "./rows/output.ts";
import { pullRow } from "./rows/pull.ts";
import { runtimeRow } from "./rows/runtime.ts";
import { startRow } from "./rows/start.ts";
import { engineNames, Setting } from "./setting.ts";

const rows: Readonly<Record<string, (setting: Setting) => Promise<Table>>> = {
  start: startRow,
  memory: memoryRow,
  crowd: crowdRow,
  exec: execRow,
  output: outputRow,
  many: manyRow,
  lives: livesRow,
  runtime: runtimeRow,
  footprint: footprintRow,
  cycles: cyclesRow,
  pull: pullRow,
};

const usage = `npm run bench [-- OPTIONS]
  --only start,memory,crowd,runtime,…      rows to measure; also footprint, cycles, pull,
                                           exec, output, many, lives
  --engines gantry,podman,ctr,docker       who takes part
  --runs N                                 rounds of the start and runtime rows (20)
  --pulls N                                rounds of the pull row (1)
  --cycles N                               containers of the cycles and lives rows (1000)
  --many N                                 containers of the many row (500)
  --size MB --files N --layers N           image of the pull row (1600, 48000, 7)
  --write                                  put the tables into bench/RESULTS.md`;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(rows).join(",") },
    engines: { type: "string", default: engineNames.join(",") },
    runs: { type: "string", default: "20" },
    pulls: { type: "string", default: "1" },
    cycles: { type: "string", default: "1000" },
    many: { type: "string", default: "500" },
    size: { type: "string", default: "1600" },
    files: { type: "string", default: "48000" },
    layers: { type: "string", default: "7" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(usage);
  process.exit(0);
}
if (process.getuid?.() !== 0) throw new Error("bench: needs root, containers are started for real");
const only = values.only.split(",");
for (const name of only) {
  if (!rows[name]) throw new Error(`bench: no row "${name}": one of ${Object.keys(rows).join(", ")}`);
}
const dir = mkdtempSync(join(tmpdir(), "gantry-bench-"));
const volatile = mkdtempSync("/dev/shm/gantry-bench-");
try {
  await using setting = new Setting(dir, volatile, {
    only,
    engines: values.engines.split(","),
    runs: Number(values.runs),
    pulls: Number(values.pulls),
    cycles: Number(values.cycles),
    many: Number(values.many),
    sizeBytes: Number(values.size) * 1e6,
    files: Number(values.files),
    layers: Number(values.layers),
    write: values.write,
  });
  const facts = await machineFacts();
  console.log(`${facts.join("\n")}\n`);
  const tables: Table[] = [];
  for (const name of only) {
    const table = await rows[name]!(setting);
    tables.push(table);
    console.log(`${tableText(table)}\n`);
  }
  if (values.write) writeResults(facts, tables);
} finally {
  for (const place of [dir, volatile]) rmSync(place, { recursive: true, force: true });
}
