/**
 * A container that another OCI runtime makes (runc, crun, …) -> plan and bundle config.
 *
 *     executor, later shim                              runtime
 *     mounts of its own; root and what is shared there
 *     pipes or a socket for the terminal
 *     create ─────────────────────────────────────────► makes the container, which waits
 *     take its first process as the child ◄───────────── ends
 *     take its terminal; record
 *     start ──────────────────────────────────────────► lets the program go on
 *     supervise
 *     clean-up: delete --force ───────────────────────► forgets it
 *
 * The runtime sees a bundle whose root is mounted, as its callers do, but in mounts that only the shim has until the
 * container is made: on the host nothing is mounted.
 */
import { refuse } from "../../base/decode.ts";
import { bug } from "../../base/error.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { Plan } from "../plan.ts";
import { type ContainerCgroup, cgroupsOf } from "./cgroups.ts";
import { closeDonors } from "./donors.ts";
import { Draft } from "./draft.ts";
import { keepHeld } from "./held-mounts.ts";
import { lend } from "./lend.ts";
import { openStdio, recordStart, stayAsShim, watchMemory } from "./life.ts";
import { openShim } from "./log.ts";
import type { ContainerRequest } from "./request.ts";
import { foreignPlaces, launchSteps, runtimeStep } from "./runtime-steps.ts";
import { closeEnds, heldCgroup } from "./shim-streams.ts";

/** What the engine asks for is in this version already, and there are runtimes that take no later one (crun 1.8). */
const commonVersion = "1.0.2";

export interface ForeignStart {
  readonly plan: Plan;
  /** For `config.json` of the bundle. */
  readonly config: RuntimeConfig;
}

export function compileForeign(request: ContainerRequest): ForeignStart {
  const draft = new Draft(request);
  const { id, mode, config } = request;
  const runtime = mode.kind === "engine" ? mode.runtime : undefined;
  if (mode.kind !== "engine" || !runtime) bug("a foreign start without a runtime");
  if (!config.linux) refuse("/linux", "is required");
  const { state } = mode;
  const cgroups = cgroupsOf(draft);

  draft.host.push({ op: "prepare-runtime", where: "" });
  const { root: path, mounts, namespaces } = lend(draft, state);
  closeDonors(draft);
  keepHeld(draft);
  const stdio = openStdio(draft);
  const bundle = foreignPlaces.bundle(state);
  // in the order of undoing: what is left of it, its cgroups, what the runtime remembers
  for (const { hierarchy, path } of cgroups)
    draft.cleanup.push({ op: "remove-cgroup", where: "", mount: hierarchy.mountPoint, path });
  draft.cleanup.push(runtimeStep(runtime, state, ["delete", "--force", id]));
  const { before, launch, after } = launchSteps(
    runtime,
    state,
    (options) => ["create", "--bundle", bundle, ...options, id],
    { directory: bundle, stdio, terminal: config.process?.terminal ?? false },
  );
  draft.host.push(...before, launch);
  closeEnds(draft.host, stdio);
  draft.host.push({ op: "adopt-container", where: "", pidFile: foreignPlaces.pid(state) });
  // back in the mounts of the host: a program that the shim starts would keep those of the container in use
  openShim(draft, mode);
  draft.host.push(...after);
  recordStart(draft, cgroups);
  openHeldCgroup(draft, cgroups);
  watchMemory(draft, mode, cgroups);
  draft.host.push(runtimeStep(runtime, state, ["start", id]));
  stayAsShim(draft, mode, cgroups);
  return {
    plan: draft.finish(),
    config: {
      ...config,
      ociVersion: commonVersion,
      root: { path, readonly: config.root?.readonly ?? false },
      mounts,
      linux: { ...config.linux, namespaces },
    },
  };
}

/** The runtime has made it. */
function openHeldCgroup({ host }: Draft, cgroups: readonly ContainerCgroup[]): void {
  const held = heldCgroup(cgroups);
  if (!held) return;
  const { hierarchy, path, register } = held.cgroup;
  host.push({ op: "open-cgroup", where: "", mount: hierarchy.mountPoint, path, dir: register });
}
