/** Containers that another OCI runtime makes: which it is, what it reads, what it is asked for. */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, isAbsolute, join, resolve } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { bug, GantryError, wrapErrno } from "../../base/error.ts";
import { runPlan } from "../../launch/launch.ts";
import type { LinuxResources } from "../../linux/resources.ts";
import { signalName } from "../../linux/signals.ts";
import { compileForeign } from "../../plan/compile/foreign.ts";
import { compileForeignExec } from "../../plan/compile/foreign-exec.ts";
import type { ContainerRequest, ExecRequest, ForeignRuntime } from "../../plan/compile/request.ts";
import { foreignPlaces, runtimeStep } from "../../plan/compile/runtime-steps.ts";
import type { Plan, Step } from "../../plan/plan.ts";
import { type ReadyPlan, readyPlan } from "../../plan/ready-plan.ts";
import { exactJson } from "../../spec/runtime-integers.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { explained } from "./runtime-words.ts";

/** Gantry itself, under the name that it has among runtimes. */
const ownName = "gantry";

/** What `--runtime` names: a name of the settings, a program of PATH, or a path. */
export function findRuntime(internals: Internals, asked: string): ContainerRecord["runtime"] {
  if (asked === ownName) return undefined;
  if (asked.includes("/")) {
    const path = isAbsolute(asked) ? asked : resolve(asked);
    return { name: basename(path), path };
  }
  const named = internals.settings().runtimes ?? {};
  const path = Object.hasOwn(named, asked) ? named[asked] : internals.hostFacts().programPath(asked);
  if (path === undefined || !/^[A-Za-z0-9._-]+$/.test(asked))
    throw new GantryError("invalid-argument", `unknown or invalid runtime name: ${asked}`, {
      detail: { runtime: asked, known: [ownName, ...Object.keys(named)] },
    });
  return { name: asked, path };
}

/** Its state is that of this store alone: nobody else's containers have a name there. */
export function foreignRuntime(
  internals: Internals,
  { runtime }: ContainerRecord,
): ForeignRuntime | undefined {
  if (!runtime) return undefined;
  return {
    path: runtime.path,
    root: join(internals.layout.runtimes, runtime.name),
    env: [`PATH=${process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin"}`],
  };
}

/** Writes what the runtime will read; the state directory is new. */
export function writeForeignBundle(request: Omit<ContainerRequest, "filter">): void {
  const { mode } = request;
  if (mode.kind !== "engine" || !mode.runtime) return;
  const { state, runtime } = mode;
  const path = join(foreignPlaces.bundle(state), "config.json");
  try {
    for (const dir of [
      foreignPlaces.root(state),
      foreignPlaces.namespaces(state),
      foreignPlaces.mounts(state),
    ])
      mkdirSync(dir, { recursive: true, mode: 0o700 });
    mkdirSync(runtime.root, { recursive: true, mode: 0o700 });
    writeFileSync(path, exactJson(compileForeign({ ...request, filter: undefined }).config), { mode: 0o600 });
  } catch (error) {
    throw wrapErrno(error, "write bundle", path);
  }
}

/** The plan of each exec of one kind; makes its state directory, if the container is still there. */
export function foreignExecPlans(
  internals: Internals,
  record: ContainerRecord,
  execs: string,
  requestOf: (execId: string) => ExecRequest,
): (execId: string) => ReadyPlan {
  const runtime = foreignRuntime(internals, record) ?? bug("a foreign exec without a runtime");
  return (execId) => {
    const request = requestOf(execId);
    const plan = readyPlan(compileForeignExec(request, runtime));
    const dir = join(execs, execId);
    const path = foreignPlaces.process(dir);
    try {
      mkdirSync(dir, { mode: 0o700 });
      writeFileSync(path, exactJson(request.config.process), { mode: 0o600 });
    } catch (error) {
      throw wrapErrno(error, "write process", path);
    }
    return plan;
  };
}

function verbStep(internals: Internals, record: ContainerRecord, verb: readonly string[]): Step {
  const runtime = foreignRuntime(internals, record) ?? bug("a verb for no other runtime");
  return runtimeStep(runtime, internals.containers.stateDirectory(record.id), verb);
}

/** The runtime changes the state of a container of its own. */
export async function runForeign(
  internals: Internals,
  record: ContainerRecord,
  verb: readonly string[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const plan = { host: [verbStep(internals, record, verb)], child: [], cleanup: [] };
  const dir = internals.containers.stateDirectory(record.id);
  await explained(dir, () => runPlan(plan, { executor: internals.executor(), ...options }));
}

/** New limits: written as for one of ours; the runtime, which keeps them in its state, is the last that has to agree. */
export async function updateForeign(
  internals: Internals,
  record: ContainerRecord,
  resources: LinuxResources,
  ours: Plan,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const dir = internals.containers.stateDirectory(record.id);
  const path = foreignPlaces.resources(dir);
  writeFileAtomic(path, exactJson(resources));
  const step = verbStep(internals, record, ["update", "--resources", path, record.id]);
  const plan = { ...ours, host: [...ours.host, step] };
  await explained(dir, () => runPlan(plan, { executor: internals.executor(), ...options }));
}

/** Its containers may be more than processes of this machine. */
export async function killForeign(
  internals: Internals,
  record: ContainerRecord,
  signal: number,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  await runForeign(internals, record, ["kill", record.id, signalName(signal) ?? String(signal)], options);
}
