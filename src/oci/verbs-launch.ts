/** create and run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { removeTree } from "../base/remove-tree.ts";
import type { SyncPoint } from "../plan/plan.ts";
import { stateFiles } from "../plan/state-files.ts";
import type { RuntimeConfig } from "../spec/runtime-config.ts";
import { makeNotifyDirectory } from "./caller-streams.ts";
import type { OciContext, Verb } from "./context.ts";
import { executePlan } from "./execute-plan.ts";
import type { Flags, FlagTable } from "./flags.ts";
import { compileLaunch, type LaunchRequest, launchFlags, readBundle } from "./launch-container.ts";
import { isAlive, makeStateDirectory, type StateFile } from "./state-directory.ts";
import { storeConfig } from "./stored-config.ts";
import { storeFilter } from "./stored-filter.ts";
import type { ContainerUnit } from "./systemd-unit.ts";

const runFlags: FlagTable = {
  ...launchFlags,
  detach: { kind: "switch", short: "d", help: "detach from the container's process" },
  keep: { kind: "switch", help: "do not delete the container after it exits" },
  "no-subreaper": { kind: "switch", help: "accepted for runc's callers; no subreaper is ever used" },
};

async function launch(context: OciContext, flags: Flags, kind: LaunchRequest["kind"]): Promise<number> {
  const id = flags.rest[0]!;
  const bundle = readBundle(flags);
  const state = makeStateDirectory(context.root, id);
  let handedOver = false;
  try {
    storeConfig(state, bundle.text);
    await using unit = await unitFor(context, { id, config: bundle.config, state });
    const request = { id, state, bundle, flags, kind, cgroups: unit?.cgroups };
    const { plan, notifyDirectory, ...streams } = await compileLaunch(context, request);
    if (notifyDirectory !== undefined) makeNotifyDirectory(notifyDirectory);
    if (bundle.config.linux?.seccomp) storeFilter(state, plan);
    const stop = kind === "foreground" ? forwardSignals(state) : undefined;
    let status: number;
    try {
      const verb = kind === "create" ? "create" : "run";
      const onSync =
        unit && ((point: SyncPoint, pid: number) => (point === "unit" ? unit.start(pid) : undefined));
      const onHandOver = keeperOf(context, { kind, state });
      status = await executePlan(context, verb, plan, { ...streams, onSync, onHandOver });
      // the plan's own clean-up removes the state from here on
      handedOver = true;
    } finally {
      stop?.();
      if (!handedOver) await unit?.stop();
    }
    if (kind === "foreground" && !flags.has("keep")) await unit?.stop();
    return status;
  } finally {
    if (!handedOver) removeTree(state);
  }
}

/** Where the entry asks for it, the plan is kept for the next call of this kind. */
function keeperOf(
  context: OciContext,
  launch: { readonly kind: LaunchRequest["kind"]; readonly state: string },
): ((plan: Uint8Array) => Promise<void>) | undefined {
  const descriptor = context.env.GANTRY_KEEP_FD;
  if (descriptor === undefined) return undefined;
  return async (plan) => {
    const { keepPlan } = await import("./keep-plan.ts");
    await keepPlan(Number(descriptor), plan, context, { ...launch, flagTable: runFlags });
  };
}

/** The systemd unit of the container, where systemd makes its cgroups. */
export async function unitFor(
  context: OciContext,
  container: { readonly id: string; readonly config: RuntimeConfig; readonly state: string },
): Promise<ContainerUnit | undefined> {
  if (context.cgroupManager !== "systemd") return undefined;
  const { prepareUnit } = await import("./systemd-unit.ts");
  return await prepareUnit(context, container);
}

const forwarded = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGCONT",
] as const;

/** Signals for this command are meant for the container. */
export function forwardSignals(state: string): () => void {
  const handlers = forwarded.map((signal) => {
    const handler = () => {
      try {
        const { pid, pidStart } = JSON.parse(readFileSync(join(state, stateFiles.oci), "utf8")) as StateFile;
        if (isAlive({ pid, pidStart })) process.kill(pid, signal);
      } catch {
        // not there yet, or not any more: there is nobody to tell
      }
    };
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  return () => {
    for (const remove of handlers) remove();
  };
}

export const create: Verb = {
  usage: "create [flags] <container-id>",
  help: "create a container",
  flags: launchFlags,
  arguments: [1, 1],
  run: (context, flags) => launch(context, flags, "create"),
};

export const run: Verb = {
  usage: "run [flags] <container-id>",
  help: "create and run a container",
  flags: runFlags,
  arguments: [1, 1],
  run: (context, flags) => launch(context, flags, flags.has("detach") ? "detached" : "foreground"),
};
