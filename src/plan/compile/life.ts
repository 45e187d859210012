/** What surrounds the child: stdio, records, waiting, and the clean-up. */
import { basename, dirname, join } from "node:path";
import { meetings } from "../meetings.ts";
import type { Step } from "../plan.ts";
import { stateFiles } from "../state-files.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";
import { runHooks } from "./hooks.ts";
import { lateText } from "./late-text.ts";
import { openShim } from "./log.ts";
import { hasEarlyHooks, recordOci, recordQuick } from "./oci-records.ts";
import { fifoRegister } from "./process.ts";
import type { ContainerRequest, EngineMode, OciMode } from "./request.ts";
import { closeEnds, openShimStreams, supervise } from "./shim-streams.ts";
import { attendChild, sendProcess } from "./streams.ts";

/** Before the clone. Says what the child puts on 0, 1 and 2. */
export function openStdio(draft: Draft<ContainerRequest>): readonly (string | undefined)[] {
  const { mode } = draft.request;
  if (mode.kind === "oci") {
    if (mode.awaitStart)
      draft.host.push({
        op: "make-fifo",
        where: "",
        path: join(mode.state, stateFiles.fifo),
        mode: 0o622,
        fd: fifoRegister,
      });
    return [];
  }
  return openShimStreams(draft, mode.stdin);
}

/**
 * After the clone the child's ends are the child's alone: else no end of file would ever come. What the shim needs is
 * made beside the child, long before its program runs: then it can no longer fail.
 */
export function closeChildStdio(draft: Draft, ends: readonly (string | undefined)[]): void {
  closeEnds(draft.host, ends);
  const { mode } = draft.request;
  if (mode.kind !== "engine") return;
  openShim(draft, mode);
}

/** The rest of the host side, once the child is in its namespaces and cgroups. */
export function followChild(draft: Draft<ContainerRequest>, cgroups: readonly ContainerCgroup[]): void {
  const { mode } = draft.request;
  if (mode.kind === "engine") superviseChild(draft, mode, cgroups);
  else leaveChild(draft, mode, cgroups);
}

/**
 * While the child still waits: so there is no instant at which the program runs and a killed shim leaves
 * nothing behind that tells of it.
 */
export function recordStart(draft: Draft<ContainerRequest>, cgroups: readonly ContainerCgroup[]): void {
  const { mode, id } = draft.request;
  if (mode.kind === "oci") {
    // hooks, and a seccomp agent, may ask for the state of the container that they are run for
    if (hasEarlyHooks(draft) || draft.linux.seccomp?.listenerPath) recordOci(draft, mode, cgroups, true);
    return;
  }
  draft.host.push(
    recordOfStart(mode.state, {
      // what is needed to end the container and to clean up when its shim was killed
      id,
      cgroups: cgroups.map(({ hierarchy, path }) => ({ mount: hierarchy.mountPoint, path })),
    }),
  );
}

function programAtEnd({ marker, ...program }: EngineMode["onExit"] & {}): Step {
  return marker === undefined
    ? { op: "run-program", where: "", ...program }
    : { op: "run-program-asked", where: "", marker, ...program };
}

/** Who runs and who watches it, beside what is known already. */
export function recordOfStart(dir: string, known: object): Step {
  return {
    op: "record-start",
    where: "",
    dir,
    name: stateFiles.start,
    record: lateText(known, {
      ...{ pid: "@PID@", pidStart: "@START@", shim: "@SHIM@", shimStart: "@SHIMSTART@" },
      startedAt: '"@TIME@"',
    }),
  };
}

function superviseChild(
  draft: Draft<ContainerRequest>,
  mode: EngineMode,
  cgroups: readonly ContainerCgroup[],
): void {
  watchMemory(draft, mode, cgroups);
  draft.host.push({ op: "await-exec", where: "" });
  runHooks(draft, draft.host, "poststart", "running");
  stayAsShim(draft, mode, cgroups);
}

/** Before the program runs: it may be killed at once. */
export function watchMemory(
  { host }: Draft,
  { onOom }: EngineMode,
  cgroups: readonly ContainerCgroup[],
): void {
  const cgroup =
    cgroups.find(({ controllers }) => controllers.includes("memory")) ??
    cgroups.find(({ version }) => version === 2);
  if (!onOom || !cgroup) return;
  const fd = "watched cgroup";
  host.push(
    { op: "open-cgroup", where: "", mount: cgroup.hierarchy.mountPoint, path: cgroup.path, dir: fd },
    { op: "watch-oom", where: "", dir: fd, ...onOom },
    { op: "close", where: "", fd },
  );
}

/** The program runs: the executor is its shim from here on. */
export function stayAsShim(
  draft: Draft<ContainerRequest>,
  mode: EngineMode,
  cgroups: readonly ContainerCgroup[],
): void {
  const { host, cleanup } = draft;
  if (mode.onStart) host.push({ op: "run-program", where: "", ...mode.onStart });
  supervise(draft, mode.stdin, mode.stopSignal, cgroups);
  cleanup.unshift({ op: "kill-child", where: "" });
  // last: whoever reads of the end may start the container again, in cgroups of the same names
  cleanup.push(recordOfExit(mode.state));
  if (mode.onExit) cleanup.push(programAtEnd(mode.onExit));
}

export function recordOfExit(dir: string): Step {
  return {
    op: "record-exit",
    where: "",
    dir,
    name: stateFiles.exit,
    record: lateText(
      {},
      { code: "@CODE@", signal: "@SIGNAL@", oom: "@OOM@", logBytesLost: "@LOST@", finishedAt: '"@TIME@"' },
    ),
  };
}

/** The pid alone, without a line feed: callers read the whole file as a number. */
export function pidRecord(path: string): Step {
  return { op: "record-start", where: "", dir: dirname(path), name: basename(path), record: "@PID@" };
}

function leaveChild(
  draft: Draft<ContainerRequest>,
  mode: OciMode,
  cgroups: readonly ContainerCgroup[],
): void {
  const { host } = draft;
  recordOci(draft, mode, cgroups, false);
  recordQuick(draft, mode, cgroups);
  sendProcess(host, mode.pidfdSocket, "standard");
  if (mode.awaitStart) host.push({ op: "await-child", where: "", step: meetings.ready });
  if (mode.pidFile !== undefined) host.push(pidRecord(mode.pidFile));
  if (!mode.awaitStart) {
    host.push({ op: "await-exec", where: "" });
    runHooks(draft, host, "poststart", "running");
  }
  attendChild(host, mode);
  undoChild(draft, mode);
}

/** What the clean-up does besides cgroups. */
export function undoChild(draft: Draft, mode: OciMode): void {
  const { cleanup } = draft;
  cleanup.unshift({ op: "kill-child", where: "" });
  // who keeps a container removes it by `delete`, which runs the hooks too
  if (mode.keep) return;
  cleanup.push({ op: "remove-tree", where: "", dir: dirname(mode.state), name: basename(mode.state) });
  // of a start that fails too: what its hooks set up must be undone
  runHooks(draft, cleanup, "poststop", "stopped");
}
