/** What this machine offers, and what is in the store. */

import { readFileSync } from "node:fs";
import { cpus, hostname, totalmem } from "node:os";
import { runtimeSpecVersion } from "../spec/runtime-config.ts";
import { observeAll } from "./containers/observe.ts";
import type { Internals } from "./internals.ts";
import { version } from "./version.ts";

export interface EngineInfo {
  readonly version: string;
  readonly runtimeSpec: string;
  readonly root: string;
  readonly state: string;
  /** Undefined where it is not found. */
  readonly executor: string | undefined;
  readonly containers: {
    readonly total: number;
    readonly running: number;
    readonly paused: number;
    readonly stopped: number;
  };
  readonly images: number;
  readonly machine: {
    readonly name: string;
    readonly kernel: string;
    readonly operatingSystem: string;
    readonly architecture: string;
    readonly cpus: number;
    readonly memoryBytes: number;
    /** hybrid: controllers on v1 hierarchies and a v2 hierarchy beside them. */
    readonly cgroupMode: "v1" | "hybrid" | "v2" | "none";
    readonly controllers: readonly string[];
    readonly securityModules: readonly string[];
  };
}

export async function engineInfo(internals: Internals): Promise<EngineInfo> {
  const facts = internals.hostFacts();
  const all = await observeAll(internals);
  const living = all.filter(({ state }) => state.kind === "running").length;
  const paused = all.filter(({ state }) => state.kind === "running" && state.paused).length;
  const { layout } = internals;
  const { mode, controllers } = facts.cgroups;
  let executor: string | undefined;
  try {
    executor = internals.executor();
  } catch (error) {
    internals.logger.warn("the executor cannot be found", { error: String(error) });
  }
  return {
    version,
    runtimeSpec: runtimeSpecVersion,
    root: layout.root,
    state: layout.state,
    executor,
    containers: { total: all.length, running: living - paused, paused, stopped: all.length - living },
    images: new Set(internals.images.list().map(({ manifest }) => manifest.digest)).size,
    machine: {
      name: hostname(),
      kernel: facts.kernel.release,
      operatingSystem: operatingSystem(),
      architecture: facts.architecture,
      cpus: cpus().length,
      memoryBytes: totalmem(),
      cgroupMode: mode,
      controllers: [...new Set([...controllers.keys(), ...facts.unifiedControllers])].sort(),
      securityModules: facts.securityModules,
    },
  };
}

function operatingSystem(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
