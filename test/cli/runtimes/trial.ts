/** One container's cases, whichever runtime makes it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox } from "../../lib/sandbox.ts";

export interface Trial {
  readonly box: Sandbox;
  /** As `--runtime` takes it. */
  readonly runtime: string;
  /** As `inspect` shows it. */
  readonly name: string;
  /** `--runtime` and what it names. */
  readonly options: readonly string[];
  /** Runs a script to its end in a container of its own, and hands back what it printed. */
  sh(script: string, ...more: string[]): Promise<string>;
}

export interface Case {
  readonly title: string;
  /** What the machine must have besides a runtime. */
  readonly needs?: readonly string[];
  run(trial: Trial): Promise<void>;
}

/** What runtimes remember of containers. */
export function remembered(box: Sandbox): readonly string[] {
  const dir = join(box.state, "runtimes");
  if (!existsSync(dir)) return [];
  return readdirSync(dir).flatMap((name) =>
    readdirSync(join(dir, name)).filter((entry) => !entry.startsWith(".")),
  );
}

export function mountsBelow(dir: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(dir));
}
