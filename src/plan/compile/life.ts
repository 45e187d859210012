/** What surrounds the child: stdio, records, waiting, and the clean-up. */
import { basename, dirname, join } from "node:path";
import { runtimeSpecVersion } from "../../spec/runtime-config.ts";
import { meetings } from "../meetings.ts";
import { syncPoints } from "../plan.ts";
import { stateFiles } from "../state-files.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";
import { hooksOf, runHooks } from "./hooks.ts";
import { resctrlOf } from "./intel-rdt.ts";
import { lateText } from "./late-text.ts";
import { fifoRegister } from "./process.ts";
import { type EngineMode, logFormats, type OciMode } from "./request.ts";
import { rootOf } from "./root.ts";

/** Registers of the program's stdio in engine mode. */
const stdio = {
  stdin: { child: "stdin", shim: "stdin of shim" },
  stdout: { child: "stdout", shim: "stdout of shim" },
  stderr: { child: "stderr", shim: "stderr of shim" },
} as const;

/** Before the clone. Says what the child puts on 0, 1 and 2. */
export function openStdio(draft: Draft): readonly (string | undefined)[] {
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
  draft.host.push({
    op: "open-shim",
    where: "",
    socket: join(mode.state, stateFiles.socket),
    log: mode.log.path,
    format: logFormats[mode.log.format],
    limitBytes: mode.log.limitBytes,
    files: mode.log.files,
  });
  if (mode.stdin)
    draft.host.push({ op: "make-pipe", where: "", read: stdio.stdin.child, write: stdio.stdin.shim });
  for (const name of ["stdout", "stderr"] as const)
    draft.host.push({ op: "make-pipe", where: "", read: stdio[name].shim, write: stdio[name].child });
  return [mode.stdin ? stdio.stdin.child : undefined, stdio.stdout.child, stdio.stderr.child];
}

/** After the clone the child's ends are the child's alone: else no end of file would ever come. */
export function closeChildStdio(draft: Draft, ends: readonly (string | undefined)[]): void {
  for (const fd of ends) if (fd !== undefined) draft.host.push({ op: "close", where: "", fd });
}

/** The rest of the host side, once the child is in its namespaces and cgroups. */
export function followChild(draft: Draft, cgroups: readonly ContainerCgroup[]): void {
  const { mode } = draft.request;
  if (mode.kind === "engine") superviseChild(draft, mode);
  else leaveChild(draft, mode, cgroups);
}

/**
 * While the child still waits: so there is no instant at which the program runs and a killed shim leaves
 * nothing behind that tells of it.
 */
export function recordStart(draft: Draft, cgroups: readonly ContainerCgroup[]): void {
  const { mode, id } = draft.request;
  if (mode.kind === "oci") {
    // hooks, and a seccomp agent, may ask for the state of the container that they are run for
    if (hasEarlyHooks(draft) || draft.linux.seccomp?.listenerPath) recordOci(draft, mode, cgroups, true);
    return;
  }
  draft.host.push({
    op: "record-start",
    where: "",
    dir: mode.state,
    name: stateFiles.start,
    record: lateText(
      // what is needed to end the container and to clean up when its shim was killed
      { id, cgroups: cgroups.map(({ hierarchy, path }) => ({ mount: hierarchy.mountPoint, path })) },
      { pid: "@PID@", pidStart: "@START@", shim: "@SHIM@", shimStart: "@SHIMSTART@", startedAt: '"@TIME@"' },
    ),
  });
}

function superviseChild(draft: Draft, mode: EngineMode): void {
  const { host, cleanup } = draft;
  host.push({ op: "await-exec", where: "" });
  runHooks(draft, host, "poststart", "running");
  host.push({ op: "report", where: "", point: syncPoints.started });
  host.push({
    op: "supervise",
    where: "",
    stdin: mode.stdin ? stdio.stdin.shim : undefined,
    stdout: stdio.stdout.shim,
    stderr: stdio.stderr.shim,
    terminal: undefined,
    stopSignal: mode.stopSignal,
  });
  cleanup.unshift({ op: "kill-child", where: "" });
  // last: whoever reads of the end may start the container again, in cgroups of the same names
  cleanup.push({
    op: "record-exit",
    where: "",
    dir: mode.state,
    name: stateFiles.exit,
    record: lateText(
      {},
      { code: "@CODE@", signal: "@SIGNAL@", oom: "@OOM@", logBytesLost: "@LOST@", finishedAt: '"@TIME@"' },
    ),
  });
  if (mode.onExit) cleanup.push({ op: "run-program", where: "", ...mode.onExit });
}

/** state.json: what `state`, `start`, `kill` and `delete` need, without another look at the bundle. */
function ociRecord(draft: Draft, cgroups: readonly ContainerCgroup[], creating: boolean): string {
  const { id, bundle, config } = draft.request;
  const root = rootOf(draft);
  const resctrl = resctrlOf(draft);
  return lateText(
    {
      ociVersion: runtimeSpecVersion,
      id,
      ...(creating ? { creating } : {}),
      bundle,
      rootfs: root.kind === "directory" ? root.path : "",
      annotations: config.annotations ?? {},
      // without a pid namespace the end of init does not end the others
      ownPids: (draft.linux.namespaces ?? []).some(({ type, path }) => type === "pid" && !path),
      cgroups: cgroups.map(({ hierarchy, version, path, controllers }) => ({
        version,
        mount: hierarchy.mountPoint,
        path,
        ...(version === 1 ? { controllers } : {}),
      })),
      resctrl: resctrl && { mount: resctrl.mount, own: resctrl.own },
      hooks: { poststart: hooksOf(draft, "poststart"), poststop: hooksOf(draft, "poststop") },
    },
    { pid: "@PID@", pidStart: "@START@", created: '"@TIME@"' },
  );
}

function hasEarlyHooks(draft: Draft): boolean {
  return (["prestart", "createRuntime", "createContainer"] as const).some(
    (kind) => hooksOf(draft, kind).length > 0,
  );
}

function recordOci(
  draft: Draft,
  mode: OciMode,
  cgroups: readonly ContainerCgroup[],
  creating: boolean,
): void {
  const record = ociRecord(draft, cgroups, creating);
  draft.host.push({ op: "record-start", where: "", dir: mode.state, name: stateFiles.oci, record });
}

function leaveChild(draft: Draft, mode: OciMode, cgroups: readonly ContainerCgroup[]): void {
  const { host, cleanup } = draft;
  recordOci(draft, mode, cgroups, false);
  if (mode.awaitStart) host.push({ op: "await-child", where: "", step: meetings.ready });
  if (mode.pidFile !== undefined)
    host.push({
      op: "record-start",
      where: "",
      dir: dirname(mode.pidFile),
      name: basename(mode.pidFile),
      record: "@PID@",
    });
  if (!mode.awaitStart) {
    host.push({ op: "await-exec", where: "" });
    runHooks(draft, host, "poststart", "running");
  }
  host.push({ op: "report", where: "", point: mode.awaitStart ? syncPoints.created : syncPoints.started });
  if (mode.foreground) host.push({ op: "await-exit", where: "" });
  cleanup.unshift({ op: "kill-child", where: "" });
  cleanup.push({ op: "remove-tree", where: "", dir: dirname(mode.state), name: basename(mode.state) });
}
