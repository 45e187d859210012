/**
 * What a crash has left of this store, found without touching anything; each knows how it is taken away. Other stores of
 * the machine have cgroups beside ours, so one counts only if this store is known to have had its container.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { errnoOf, isGantryError, wrapErrno } from "../../base/error.ts";
import { ownerState } from "../../base/owner.ts";
import { removeTree } from "../../base/remove-tree.ts";
import { runPlan } from "../../launch/launch.ts";
import { parseMountinfo } from "../../linux/mountinfo.ts";
import { endProcess } from "../../tasks/end-process.ts";
import { readStartRecord } from "../../tasks/records.ts";
import { recover } from "../../tasks/recover.ts";
import { taskState } from "../../tasks/task-state.ts";
import { bootId } from "../boot.ts";
import { forgetForeign, rememberedContainers } from "../containers/forget-foreign.ts";
import { clearHalfMade, observe } from "../containers/observe.ts";
import { parseEvent } from "../events.ts";
import { type Internals, tryLockContainer } from "../internals.ts";
import { clearHalfMadePod, observePod } from "../pods/observe-pod.ts";
import { undoPod } from "../pods/pod-plan.ts";
import { brokenBecause, readSandbox } from "../pods/sandbox.ts";
import { volumeStore } from "../volumes/volume-store.ts";
import type { Leftover } from "./finding.ts";

const idForm = /^[0-9a-f]{64}$/;
const short = (id: string) => id.slice(0, 12);

export async function findLeftovers(internals: Internals): Promise<readonly Leftover[]> {
  return [
    ...containers(internals),
    ...taskStates(internals),
    ...execs(internals),
    ...runtimeStates(internals),
    ...pods(internals),
    ...mounts(internals),
    ...names(internals),
    ...(await snapshots(internals)),
    ...cgroups(internals),
    ...locks(internals),
    ...leases(internals),
    ...unfinished(internals),
    ...temporaryFiles(internals),
  ];
}

function entries(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw wrapErrno(error, "read directory", dir);
  }
}

/** Whether nobody alive is at work on a container or pod. The lock of a dead one is left where it is. */
function isIdle(internals: Internals, id: string): boolean {
  return isDead(join(internals.layout.locks, id)) ?? true;
}

/** Of a lock: whether its owner is dead; undefined if there is no such lock. */
function isDead(path: string): boolean | undefined {
  try {
    return ownerState(readlinkSync(path).split(" ")[0]!) === "dead";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw wrapErrno(error, "read lock", path);
  }
}

function containers(internals: Internals): readonly Leftover[] {
  return internals.containers.ids().flatMap((id): readonly Leftover[] => {
    if (!isIdle(internals, id)) return [];
    const name = `container ${short(id)}`;
    let record: ReturnType<Internals["containers"]["read"]>;
    try {
      record = internals.containers.read(id);
    } catch (error) {
      if (!isGantryError(error)) throw error;
      const detail = `its record cannot be read: ${error.message}; gantry rm -f ${short(id)} removes it`;
      return [{ name, detail, remove: () => Promise.reject(error) }];
    }
    if (!record)
      return [{ name, detail: "half made or half removed", remove: () => clearHalfMade(internals, id) }];
    const settle = async () => void (await observe(internals, id));
    if (record.startedInBoot === undefined) return [];
    const task = taskState(internals.containers.stateDirectory(id));
    if (task.kind === "lost") return [{ name, detail: "its shim was killed", remove: settle }];
    if (task.kind === "created") return [{ name, detail: "its start was cut short", remove: settle }];
    if (task.kind === "exited" && record.autoRemove)
      return [{ name, detail: "it has ended and was to be removed (--rm)", remove: settle }];
    return [];
  });
}

/** Run-time directories whose container has no folder any more. */
function taskStates(internals: Internals): readonly Leftover[] {
  const { taskStates: dir } = internals.layout;
  return entries(dir)
    .filter((id) => idForm.test(id) && !internals.containers.exists(id) && isIdle(internals, id))
    .map((id) => ({
      name: `run-time directory ${join(dir, id)}`,
      detail: "its container is gone",
      remove: async () => await endTask(internals, join(dir, id)),
    }));
}

/** Further processes of containers that run, which nobody watches any more. */
function execs(internals: Internals): readonly Leftover[] {
  const { containers: store } = internals;
  return store.ids().flatMap((id) =>
    entries(store.execsDirectory(id)).flatMap((exec): readonly Leftover[] => {
      const dir = join(store.execsDirectory(id), exec);
      const task = taskState(dir);
      if (task.kind !== "lost") return [];
      const name = `exec ${short(exec)} of container ${short(id)}`;
      const end = async () => {
        await endProcess(task.start.init, `end ${name}`);
        removeTree(dir);
      };
      return [{ name, detail: "its shim was killed", remove: end }];
    }),
  );
}

/** What other runtimes have not forgotten of containers whose end is settled. */
function runtimeStates(internals: Internals): readonly Leftover[] {
  const { containers: store } = internals;
  const isSettled = (id: string) => !store.exists(id) || store.read(id)?.startedInBoot === undefined;
  return rememberedContainers(internals)
    .filter(({ id }) => isIdle(internals, id) && isSettled(id))
    .map(({ runtime, id }) => ({
      name: `state of ${runtime} for container ${short(id)}`,
      detail: store.exists(id) ? "which does not run" : "which is gone",
      remove: async () => {
        using lock = tryLockContainer(internals, id);
        if (lock && isSettled(id)) forgetForeign(internals, id);
      },
    }));
}

async function endTask(internals: Internals, dir: string): Promise<void> {
  const start = readStartRecord(dir);
  if (start) {
    for (const process of [start.shim, start.init]) await endProcess(process, `end what is left in "${dir}"`);
    await recover(dir, { executor: internals.executor() });
  }
  removeTree(dir);
}

function pods(internals: Internals): readonly Leftover[] {
  const store = internals.pods;
  return store.ids().flatMap((id): readonly Leftover[] => {
    if (!isIdle(internals, id)) return [];
    const name = `pod ${short(id)}`;
    const record = store.read(id);
    if (!record)
      return [{ name, detail: "half made or half removed", remove: () => clearHalfMadePod(internals, id) }];
    const settle = async () => void (await observePod(internals, id));
    if (record.removing) return [{ name, detail: "its removal was cut short", remove: settle }];
    if (record.startedInBoot === undefined) return [];
    const dir = store.stateDirectory(id);
    const sandbox = record.startedInBoot === bootId() ? readSandbox(dir) : undefined;
    const broken = sandbox ? brokenBecause(record, dir, sandbox) : "its start or stop was cut short";
    return broken === undefined ? [] : [{ name, detail: broken, remove: settle }];
  });
}

/** Mounts below the state directory that no pod holds. */
function mounts(internals: Internals): readonly Leftover[] {
  const store = internals.pods;
  const { podStates } = internals.layout;
  const lost = new Set<string>();
  for (const { mountPoint } of parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"))) {
    if (!mountPoint.startsWith(`${podStates}/`)) continue;
    const id = mountPoint.slice(podStates.length + 1).split("/")[0]!;
    if (idForm.test(id) && isIdle(internals, id) && store.read(id)?.startedInBoot === undefined) lost.add(id);
  }
  return [...lost].map((id) => ({
    name: `mounts of pod ${short(id)}`,
    detail: `in ${join(podStates, id)}, which holds nothing`,
    remove: async () => await undoPod(internals, store.read(id) ?? { id }),
  }));
}

function names(internals: Internals): readonly Leftover[] {
  const { containers: store } = internals;
  const podStore = internals.pods;
  const lost = [...store.names.list()].filter(([, id]) => !store.exists(id) && isIdle(internals, id));
  const lostPods = [...podStore.names.list()].filter(
    ([, id]) => !podStore.exists(id) && isIdle(internals, id),
  );
  return [
    ...lost.map(([name, id]) => ({
      name: `name ${name}`,
      detail: "its container is gone",
      remove: async () => store.names.release(name, id),
    })),
    ...lostPods.map(([name, id]) => ({
      name: `name ${name}`,
      detail: "its pod is gone",
      remove: async () => podStore.names.release(name, id),
    })),
  ];
}

async function snapshots(internals: Internals): Promise<readonly Leftover[]> {
  const snapshotter = await internals.snapshotter();
  const lost = (await snapshotter.list()).filter(
    ({ key }) => idForm.test(key) && !internals.containers.exists(key) && isIdle(internals, key),
  );
  return lost.map(({ key }) => ({
    name: `snapshot ${short(key)}`,
    detail: "its container is gone",
    remove: async () => await snapshotter.remove(key),
  }));
}

/** Containers and pods of this store that are gone, as its events tell. */
function destroyed(internals: Internals): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const path of [`${internals.layout.events}.1`, internals.layout.events]) {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (errnoOf(error) === "ENOENT") continue;
      throw wrapErrno(error, "read events", path);
    }
    for (const line of text.split("\n")) {
      const event = parseEvent(line);
      if (event?.action !== "destroy") continue;
      ids.add(event.kind === "pod" ? `pod-${event.id}` : event.id);
    }
  }
  return ids;
}

function cgroups(internals: Internals): readonly Leftover[] {
  const { unified, controllers } = internals.hostFacts().cgroups;
  const mountPoints = new Set(
    [...controllers.values(), ...(unified ? [unified] : [])].map((one) => one.mountPoint),
  );
  const gone = destroyed(internals);
  return [...mountPoints].flatMap((mount) =>
    entries(join(mount, "gantry"))
      .filter((name) => gone.has(name))
      .map((name) => ({
        name: `cgroup ${join(mount, "gantry", name)}`,
        detail: "what it was made for is gone",
        remove: async () => {
          const step = { op: "remove-cgroup", where: "", mount, path: `/gantry/${name}` } as const;
          await runPlan({ host: [], child: [], cleanup: [step] }, { executor: internals.executor() });
        },
      })),
  );
}

/** Links that name a process which is dead. */
function locks(internals: Internals): readonly Leftover[] {
  const { locks: dir } = internals.layout;
  const dead = entries(dir).filter((name) => isDead(join(dir, name)));
  return dead.map((name) => ({
    name: `lock ${name}`,
    detail: "its owner is dead",
    // taken over by the rules, and given back
    remove: async () => tryLockContainer(internals, name)?.[Symbol.dispose](),
  }));
}

function leases(internals: Internals): readonly Leftover[] {
  const { leases: dir } = internals.layout;
  const dead = entries(dir).filter(
    (name) => ownerState(name.slice(0, Math.max(0, name.indexOf(".")))) === "dead",
  );
  if (dead.length === 0) return [];
  return [
    {
      name: `${dead.length} leases`,
      detail: "their owners are dead",
      remove: async () => void internals.leases.claimed(),
    },
  ];
}

/** Parts of layers and blobs whose makers are dead. Downloads that can be resumed are none. */
function unfinished(internals: Internals): readonly Leftover[] {
  const { content, snapshots: dir } = internals.layout;
  const staged = entries(join(dir, "staging")).filter((name) => {
    const owner = /^(?:hidden\.[a-z0-9-]+\.)?([^.]+)\.[0-9a-f]+$/.exec(name)?.[1];
    return owner !== undefined && ownerState(owner) === "dead";
  });
  const { volumes } = internals.layout;
  const halfVolumes = entries(volumes).filter(
    (name) => name.startsWith(".") && ownerState(name.slice(1).split(".")[0]!) === "dead",
  );
  const trash = entries(join(content, "trash")).filter(
    (name) => ownerState(name.split(".")[1] ?? "") === "dead",
  );
  const sweepLayers = async () => {
    await using layers = await internals.openLayers();
    await layers.sweep();
  };
  return [
    ...(staged.length > 0
      ? [
          {
            name: `${staged.length} layers or snapshots`,
            detail: "on their way in or out when their process died",
            remove: sweepLayers,
          },
        ]
      : []),
    ...(halfVolumes.length > 0
      ? [
          {
            name: `${halfVolumes.length} volumes`,
            detail: "on their way in or out when their process died",
            remove: async () => await volumeStore(internals).sweep(),
          },
        ]
      : []),
    ...(trash.length > 0
      ? [
          {
            name: `${trash.length} blobs`,
            detail: "half removed",
            remove: async () => void (await internals.content.sweep()),
          },
        ]
      : []),
  ];
}

/** What src/base/atomic-file.ts writes before it renames. */
function temporaryFiles(internals: Internals): readonly Leftover[] {
  const { layout } = internals;
  const dirs = [
    layout.images,
    layout.leases,
    ...[internals.containers, internals.pods].flatMap((store) =>
      store.ids().map((id) => store.directory(id)),
    ),
  ];
  return dirs.flatMap((dir) =>
    entries(dir)
      .filter((name) => {
        const pid = /\.(\d+)\.[0-9a-f]+\.tmp$/.exec(name)?.[1];
        return pid !== undefined && !existsSync(`/proc/${pid}`);
      })
      .map((name) => ({
        name: `file ${join(basename(dir), name)}`,
        detail: "its writer is dead",
        remove: async () => removeTree(join(dir, name)),
      })),
  );
}
