/** Containers that another OCI runtime makes: which it is, its bundle, its words for a failure. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, isAbsolute, join, resolve } from "node:path";
import { errnoOf, GantryError, isGantryError, wrapErrno } from "../../base/error.ts";
import { runPlan } from "../../launch/launch.ts";
import { signalName } from "../../linux/signals.ts";
import { compileForeign, foreignPlaces, runtimeStep } from "../../plan/compile/foreign.ts";
import type { ContainerRequest, ForeignRuntime } from "../../plan/compile/request.ts";
import { exactJson } from "../../spec/runtime-integers.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";

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
    root: join(internals.layout.state, "runtimes", runtime.name),
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
    for (const dir of [foreignPlaces.root(state), foreignPlaces.namespaces(state), foreignPlaces.shm(state)])
      mkdirSync(dir, { recursive: true, mode: 0o700 });
    mkdirSync(runtime.root, { recursive: true, mode: 0o700 });
    writeFileSync(path, exactJson(compileForeign({ ...request, filter: undefined }).config), { mode: 0o600 });
  } catch (error) {
    throw wrapErrno(error, "write bundle", path);
  }
}

/** A signal by the runtime's own `kill`: its containers may be more than processes of this machine. */
export async function killForeign(
  internals: Internals,
  record: ContainerRecord,
  signal: number,
): Promise<void> {
  const runtime = foreignRuntime(internals, record);
  if (!runtime) return;
  const dir = internals.containers.stateDirectory(record.id);
  const step = runtimeStep(runtime, dir, ["kill", record.id, signalName(signal) ?? String(signal)]);
  try {
    await runPlan({ host: [step], child: [], cleanup: [] }, { executor: internals.executor() });
  } catch (error) {
    throw foreignFailure(error, dir);
  }
}

/** What the runtime has to say of a step of its own, with the status that docker gives it. */
export function foreignFailure(error: unknown, dir: string): unknown {
  if (!isGantryError(error) || error.detail.op !== "run-runtime") return error;
  const said = lastError(foreignPlaces.log(dir));
  if (said === undefined) return error;
  const status = /executable file not found|no such file or directory/.test(said)
    ? 127
    : /permission denied|is a directory|exec format error/i.test(said)
      ? 126
      : undefined;
  const words = error.message.split(":")[0]!;
  return new GantryError(error.code, `${words}: ${said}`, {
    detail: { ...error.detail, ...(status === undefined ? {} : { status }) },
    cause: error,
  });
}

/** runc and crun write one JSON object a line; the last of level error is the reason. */
function lastError(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw wrapErrno(error, "read log of the runtime", path);
  }
  return text
    .slice(-64 * 1024)
    .split("\n")
    .flatMap((line): readonly string[] => {
      try {
        const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
        return typeof msg === "string" && (level === "error" || level === "fatal") ? [msg] : [];
      } catch {
        // not a line of the log, or one that was cut short
        return [];
      }
    })
    .at(-1);
}
