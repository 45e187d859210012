/** restore: criu makes a container's processes again from what `checkpoint` wrote. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { array, decodeJson, string } from "../base/decode.ts";
import { wrapErrno } from "../base/error.ts";
import { removeTree } from "../base/remove-tree.ts";
import { readHostFacts } from "../host/facts.ts";
import type { ForeignCgroups } from "../plan/compile/request.ts";
import { compileRestore, restoreLog } from "../plan/compile/restore.ts";
import type { SyncPoint } from "../plan/plan.ts";
import { callerStreams } from "./caller-streams.ts";
import type { OciContext, Verb } from "./context.ts";
import { criuFlagTable, criuSetting, explainCriu, isDirectory, readCriuFlags } from "./criu.ts";
import { executePlanHere } from "./execute-plan.ts";
import type { Flags } from "./flags.ts";
import { type Bundle, readBundle } from "./launch-container.ts";
import { makeStateDirectory } from "./state-directory.ts";
import { storeConfig } from "./stored-config.ts";
import { failureText, verbIntro } from "./tell-failure.ts";
import { descriptorsFile } from "./verb-checkpoint.ts";
import { forwardSignals, unitFor } from "./verbs-launch.ts";

function readDescriptors(images: string): readonly string[] {
  const file = join(images, descriptorsFile);
  try {
    return decodeJson(readFileSync(file, "utf8"), array(string, 3), descriptorsFile);
  } catch (error) {
    throw wrapErrno(error, "open", file);
  }
}

async function compile(
  context: OciContext,
  flags: Flags,
  state: string,
  bundle: Bundle,
  unit: ForeignCgroups | undefined,
) {
  const cgroups = context.cgroupManager === "disabled" ? ({ kind: "none" } as const) : unit;
  const { config } = bundle;
  const foreground = !flags.has("detach");
  const streams = await callerStreams(flags, config.process?.terminal ?? false, !foreground);
  const criu = criuSetting(context, flags, false);
  const pidFile = flags.text("pid-file");
  return {
    log: join(criu.work, restoreLog),
    terminal: streams.foregroundConsole !== undefined,
    plan: compileRestore({
      id: flags.rest[0]!,
      // criu puts back what its processes had
      filter: undefined,
      config,
      bundle: bundle.path,
      facts: readHostFacts(),
      mode: {
        kind: "oci",
        state,
        awaitStart: false,
        foreground,
        ...streams,
        ...(cgroups ? { cgroups } : {}),
        ...(pidFile === undefined ? {} : { pidFile: resolve(pidFile) }),
      },
      criu,
      flags: readCriuFlags(flags, config.annotations ?? {}),
      descriptors: readDescriptors(criu.images),
      isDirectory,
      warn: (message, pointer) => context.log.warn(message, { pointer }),
    }),
  };
}

async function run(context: OciContext, flags: Flags): Promise<number> {
  const foreground = !flags.has("detach");
  const bundle = readBundle(flags);
  const state = makeStateDirectory(context.root, flags.rest[0]!);
  let handedOver = false;
  try {
    storeConfig(state, bundle.text);
    await using unit = await unitFor(context, { id: flags.rest[0]!, config: bundle.config, state });
    const { plan, log, terminal } = await compile(context, flags, state, bundle, unit?.cgroups);
    const stop = foreground ? forwardSignals(state) : undefined;
    let status: number;
    try {
      // systemd puts criu into the unit, and with it what it makes
      const onSync = unit && ((_point: SyncPoint, pid: number) => unit.start(pid));
      const onFailure = (failure: unknown) =>
        context.log.error(verbIntro("restore") + failureText(failure, "restore"));
      status = await executePlanHere(plan, { terminal, onSync, onFailure });
      // the plan's own clean-up removes the state from here on
      handedOver = true;
    } catch (error) {
      throw explainCriu(error, log);
    } finally {
      stop?.();
      if (!handedOver) await unit?.stop();
    }
    if (foreground) await unit?.stop();
    return status;
  } finally {
    if (!handedOver) removeTree(state);
  }
}

export const restore: Verb = {
  usage: "restore [flags] <container-id>",
  help: "restore a container from a previous checkpoint",
  flags: {
    ...criuFlagTable,
    bundle: { kind: "text", short: "b", help: "path to the root of the bundle directory" },
    "console-socket": {
      kind: "text",
      help: "path to a socket that receives the master end of the console",
    },
    detach: { kind: "switch", short: "d", help: "detach from the container's process" },
    "pid-file": { kind: "text", help: "file to write the process id to" },
    "no-subreaper": { kind: "switch", help: "accepted for runc's callers; no subreaper is ever used" },
    "no-pivot": { kind: "switch", help: "accepted for runc's callers; criu always pivots" },
    "lsm-profile": { kind: "text", help: "TYPE:NAME of a profile of a security module for the processes" },
    "lsm-mount-context": { kind: "text", help: "SELinux context for the mounts" },
  },
  arguments: [1, 1],
  run,
};
