/** Tables for the terminal and for bench/RESULTS.md, and what machine they were taken on. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { command } from "../test/lib/command.ts";
import { median, quantile, type Series } from "./measure.ts";

export interface Table {
  readonly title: string;
  /** How it was measured, and what the budget is. */
  readonly about: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Median, p90 and the ratio of medians to the first series that has one. */
export function seriesTable(
  title: string,
  about: string,
  series: readonly Series[],
  unit: "ms" | "s" = "ms",
): Table {
  const base = median(series.find(({ ms }) => ms.length > 0)?.ms ?? []);
  const rows = series.map(({ name, ms, failure }) => {
    if (failure !== undefined) return [name, "failed", "", "", failure.replaceAll("\n", " ").slice(-300)];
    const ratio = median(ms) / base;
    return [
      name,
      show(median(ms), unit),
      show(quantile(ms, 0.9), unit),
      `${ratio.toFixed(2)}`,
      String(ms.length),
    ];
  });
  return { title, about, head: ["", `median ${unit}`, `p90 ${unit}`, "ratio", "runs"], rows };
}

export function show(ms: number, unit: "ms" | "s" = "ms"): string {
  const value = unit === "s" ? ms / 1000 : ms;
  return Number.isNaN(value) ? "-" : value.toFixed(value < 100 ? 1 : 0);
}

export function tableText({ title, about, head, rows }: Table): string {
  const widths = head.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  return [`${title}: ${about}`, line(head), ...rows.map(line)].map((text) => text.trimEnd()).join("\n");
}

function tableMarkdown({ title, about, head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = line(head.map((_, index) => (index === 0 ? "---" : "---:")));
  return [`## ${title}`, "", about, "", line(head), rule, ...rows.map(line), ""].join("\n");
}

/** Kernel, processor, memory, and the versions of all that took part. */
export async function machineFacts(): Promise<string[]> {
  const version = async (argv: readonly string[]) => {
    const done = await command(argv).catch(() => undefined);
    return done?.code === 0 ? done.stdout.split("\n")[0]!.trim() : undefined;
  };
  const debian = /PRETTY_NAME="([^"]*)"/.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown";
  const facts = [
    `Linux ${release()}, ${debian}, ${cgroupLayout()}`,
    `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  ];
  const programs = [
    ["podman", "--version"],
    ["conmon", "--version"],
    ["crun", "--version"],
    ["runc", "--version"],
    ["containerd", "--version"],
    ["dockerd", "--version"],
    ["docker-registry", "--version"],
  ];
  for (const argv of programs) facts.push((await version(argv)) ?? `${argv[0]} is not installed`);
  return facts;
}

function cgroupLayout(): string {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const v1 = / - cgroup /.test(mounts);
  const v2 = / - cgroup2 /.test(mounts);
  if (v1) return v2 ? "cgroup v1 and an empty v2 tree" : "cgroup v1";
  return v2 ? "cgroup v2" : "no cgroups";
}

/** Replaces bench/RESULTS.md by the tables of this run. */
export function writeResults(facts: readonly string[], tables: readonly Table[]): void {
  const head = [
    "# Results",
    "",
    "Written by `npm run bench -- --write`: all tables come from one run, contenders side by side, medians.",
    "Absolute figures belong to the machine; the ratios are the point.",
    "",
    ...facts.map((fact) => `- ${fact}`),
    "",
  ];
  writeFileSync(join(import.meta.dirname, "RESULTS.md"), [...head, ...tables.map(tableMarkdown)].join("\n"));
}
