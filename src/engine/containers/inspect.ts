/** Everything that is known of one container, read from where it is true. */
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import type { Health } from "./health-check.ts";
import { readHealth } from "./health-file.ts";
import { type ExecSummary, listExecs } from "./list-execs.ts";
import { type ContainerState, observe } from "./observe.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

export interface ContainerInspection {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
  /** What runs in it besides its own program, if it was asked for by exec. */
  readonly execs: readonly ExecSummary[];
  /** Of one that runs, or has run, and is asked for it. */
  readonly health?: Health;
  /** What the runtime was told. */
  readonly runtimeConfig: RuntimeConfig;
  /** Of the container's own files, on the host. */
  readonly paths: { readonly bundle: string; readonly log: string; readonly state: string };
}

export async function inspectContainer(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ContainerInspection> {
  options.signal?.throwIfAborted();
  const observed = await observe(internals, id);
  if (!observed) throw noSuchContainer(id);
  const { containers } = internals;
  const health = observed.state.kind === "created" ? undefined : readHealth(internals, observed.record);
  return {
    ...observed,
    execs: listExecs(internals, id),
    ...(health ? { health } : {}),
    runtimeConfig: readRuntimeConfig(internals, id),
    paths: {
      bundle: containers.directory(id),
      log: observed.record.log.format === "none" ? "" : containers.logPath(id, observed.record.log.format),
      state: containers.stateDirectory(id),
    },
  };
}
