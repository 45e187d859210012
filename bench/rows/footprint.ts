/** What one `run` of `true` takes of the kernel and of memory, and how little memory a container can start with. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { command, must } from "../../test/lib/command.ts";
import { programPath } from "../../test/lib/needs.ts";
import { median } from "../measure.ts";
import type { Table } from "../report.ts";
import { makeBundle, openRuntimes, type Runtime, variants } from "../runtimes.ts";
import type { Setting } from "../setting.ts";

const samples = 5;

export async function footprintRow(setting: Setting): Promise<Table> {
  const rows: string[][] = [];
  const bundle = await makeBundle(setting, "short plain", ["true"], variants.plain!);
  for (const runtime of await openRuntimes(setting)) {
    rows.push([
      runtime.name,
      await systemCalls(setting, runtime, bundle),
      await peakMemory(setting, runtime, bundle),
      await smallestLimit(setting, runtime),
    ]);
  }
  return {
    title: "Footprint",
    about:
      "one `run` of `true`: system calls of all processes, largest resident set of one, and the smallest memory limit under which it succeeds",
    head: ["", "system calls", "peak RSS MB", "smallest limit KB"],
    rows,
  };
}

const idOf = (what: string) => `gantry-bench-${process.pid}-${what}`;

async function systemCalls(setting: Setting, { argv }: Runtime, bundle: string): Promise<string> {
  if (!programPath("strace")) return "-";
  const log = join(setting.dir, "strace");
  await must(["strace", "-f", "-qq", "-o", log, ...argv, "run", "--bundle", bundle, idOf("calls")]);
  // a call that another process interrupted is resumed on a line of its own
  const calls = readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => /^\d+ +[a-z_0-9]+\(/.test(line));
  return String(calls.length);
}

async function peakMemory(setting: Setting, { argv }: Runtime, bundle: string): Promise<string> {
  if (!programPath("time")) return "-";
  const log = join(setting.dir, "time");
  const peaks: number[] = [];
  for (let i = 0; i < samples; i++) {
    await must(["/usr/bin/time", "-o", log, "-f", "%M", ...argv, "run", "--bundle", bundle, idOf("peak")]);
    peaks.push(Number(readFileSync(log, "utf8").trim()));
  }
  return (median(peaks) / 1024).toFixed(1);
}

/** By halving; a limit counts if it suffices three times in a row. */
async function smallestLimit(setting: Setting, { argv }: Runtime): Promise<string> {
  const suffices = async (kilobytes: number) => {
    const bundle = await makeBundle(setting, "limited", ["true"], ({ linux }) => {
      linux.resources = { memory: { limit: kilobytes * 1024 } };
    });
    for (let i = 0; i < 3; i++) {
      const { code } = await command([...argv, "run", "--bundle", bundle, idOf("limit")]);
      if (code !== 0) {
        await command([...argv, "delete", "--force", idOf("limit")]);
        return false;
      }
    }
    return true;
  };
  let [low, high] = [0, 65_536];
  if (!(await suffices(high))) return `above ${high}`;
  while (high - low > Math.max(4, high / 16)) {
    const middle = Math.round((low + high) / 2);
    if (await suffices(middle)) high = middle;
    else low = middle;
  }
  return String(high);
}
