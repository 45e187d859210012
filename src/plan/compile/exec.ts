/**
 * A further process in a container that runs -> its plan.
 *
 *     host side                                   child
 *     open init by pid and start time
 *     open its v2 cgroup
 *     clone into it ────────────────────────────► limits, v1 cgroups
 *                                                 close what leads to the host
 *                                                 join the namespaces of init
 *     adopt ◄─────────────────────────────────── fork again, into the pid namespace
 *     pid file, pidfd ──────────recorded────────► confinement
 *     wait for exec ◄──────────────────────────── exec
 *     leave, wait, or stay as its shim
 *
 * The container's processes see the new one from the moment it is in their pid namespace, and some may be allowed to
 * trace it. So it gets there last, by a fork, when its root is theirs already and it holds nothing of the host.
 */
import { basename, dirname } from "node:path";
import { toHostId } from "../../linux/id-map.ts";
import { cloneFlags } from "../../linux/namespaces.ts";
import type { Plan } from "../plan.ts";
import { readCapabilities } from "./capabilities.ts";
import { Draft } from "./draft.ts";
import { enterControllerCgroups, openUnifiedCgroup } from "./exec-cgroups.ts";
import { openExecShim, stayAsExecShim } from "./exec-shim.ts";
import { pidRecord, recordOfStart } from "./life.ts";
import { type NamespacePlan, readNamespaces } from "./namespaces.ts";
import { becomeProgram, needsProcForProcess, processOf } from "./process.ts";
import type { ExecRequest } from "./request.ts";
import { setRlimits } from "./rlimits.ts";
import { setAffinity } from "./scheduling.ts";
import { checkListener } from "./seccomp-listener.ts";
import { closeEnds } from "./shim-streams.ts";
import { attendChild, lendStdio, proveDescriptors, sendProcess } from "./streams.ts";
import {
  connectConsole,
  connectSocket,
  openTerminal,
  pidfdSocketRegister,
  receiveTerminal,
} from "./terminal.ts";

const initRegister = "init";

/** Compiles an exec. Throws invalid-argument with the JSON pointer of what is wrong. */
export function compileExec(request: ExecRequest): Plan {
  const draft = new Draft(request);
  const { mode } = request;
  processOf(draft);
  const namespaces = readNamespaces(draft);
  const capabilities = readCapabilities(draft, namespaces);
  checkListener(draft, request.filter);

  proveDescriptors(draft);
  connectConsole(draft.host, mode);
  connectSocket(draft.host, mode.pidfdSocket, pidfdSocketRegister);
  lendStdio(draft, mode);
  const stdio = makeShim(draft);
  const { pid, start } = mode.init;
  const phrase = "cannot exec in a stopped container";
  draft.host.push({ op: "open-process", where: "", phrase, pid, start, fd: initRegister });
  const cgroup = openUnifiedCgroup(draft);
  // a cpuset of the cgroup overrules it, so that it holds for the way in only
  setAffinity(draft, "initial");
  draft.host.push({
    op: "clone",
    where: "",
    phrase: "unable to start container process",
    namespaces: 0,
    cgroup,
  });
  takePipes(draft, stdio);
  enterContainer(draft, namespaces);
  openExecTerminal(draft);
  introduceProcess(draft);
  if (needsProcForProcess(draft)) draft.openProc();
  becomeProgram(draft, {
    namespaces,
    capabilities,
    filter: request.filter,
    stdio: [],
    beforeFilter() {
      if (!mode.shim) draft.child.push({ op: "set-death-signal", where: "", signal: 0 });
      draft.meet("recorded");
    },
  });
  followProcess(draft);
  return draft.finish();
}

/** Before the clone; the directory is the plan's own. */
function makeShim(draft: Draft<ExecRequest>): readonly (string | undefined)[] {
  const { shim } = draft.request.mode;
  if (!shim) return [];
  const [dir, name] = [dirname(shim.state), basename(shim.state)];
  draft.host.push({ op: "make-state-directory", where: "", dir, name });
  return openExecShim(draft, shim);
}

/** At once: what comes into the container with the child is on 0, 1 and 2. */
function takePipes({ host, child }: Draft<ExecRequest>, ends: readonly (string | undefined)[]): void {
  closeEnds(host, ends);
  if (ends.length > 0)
    child.push({ op: "set-stdio", where: "", stdin: ends[0], stdout: ends[1], stderr: ends[2], null: 0 });
}

/** Everything from the host to the container. The order is that of privileges, and of what may be seen by whom. */
function enterContainer(draft: Draft<ExecRequest>, namespaces: NamespacePlan): void {
  const { child } = draft;
  const { mode, config } = draft.request;
  const dieWithHostSide = () => child.push({ op: "set-death-signal", where: "", signal: 9 });
  // a frozen cgroup stops it here, and it must not come back to life when nobody waits for it any more
  dieWithHostSide();
  setRlimits(draft);
  const { oomScoreAdj } = config.process ?? {};
  if (oomScoreAdj !== undefined)
    child.push({
      op: "set-own-oom-score",
      where: "/process/oomScoreAdj",
      phrase: "failed to write oom_score_adj",
      value: String(oomScoreAdj),
    });
  enterControllerCgroups(draft);
  setAffinity(draft, "final");
  child.push({ op: "close-others", where: "", keep: mode.preserveFds ?? 0, fd: initRegister });
  child.push({
    op: "join-namespace",
    where: "/linux/namespaces",
    phrase: "unable to join the namespaces of the container",
    fd: initRegister,
    kind: cloneFlags(namespaces.private),
  });
  child.push({ op: "close", where: "", fd: initRegister });
  if (namespaces.private.has("pid")) {
    child.push({ op: "fork-again", where: namespaces.where.get("pid")!, namespaces: 0 });
    draft.host.push({ op: "adopt-child", where: "" });
  }
  if (hasRoot(draft, namespaces)) child.push({ op: "become-root", where: namespaces.where.get("user")! });
  // a new process has no such signal, and one that changes its user loses it (prctl(2))
  dieWithHostSide();
  child.push({ op: "new-session", where: "" });
}

/** Whether uid 0 of the container's user namespace is somebody. One that was joined by path is taken to have it. */
function hasRoot(draft: Draft, { private: kinds, joined }: NamespacePlan): boolean {
  const mapped = toHostId(draft.linux.uidMappings ?? [], 0) !== undefined;
  return kinds.has("user") && (mapped || joined.has("user"));
}

/** A terminal of the container's, from the devpts that its processes see. Its console is another's. */
function openExecTerminal({ child, host, config, request: { mode } }: Draft<ExecRequest>): void {
  const { process } = config;
  if (!process) return;
  openTerminal(child, process, mode, { root: undefined, console: "" });
  receiveTerminal(host, process, mode);
}

/** Before the program runs its pid stands where the caller looks for it: so none runs that nobody knows of. */
function introduceProcess({ host, request }: Draft<ExecRequest>): void {
  const { pidFile, pidfdSocket, foreground, shim } = request.mode;
  if (shim) host.push(recordOfStart(shim.state, shim.record));
  if (pidFile !== undefined)
    host.push(pidFile === "late" ? { op: "record-pid", where: "" } : pidRecord(pidFile));
  sendProcess(host, pidfdSocket, "setns");
  if (foreground) host.push({ op: "hold-signals", where: "" });
}

function followProcess(draft: Draft<ExecRequest>): void {
  const { host, cleanup, request } = draft;
  const { shim } = request.mode;
  host.push({ op: "await-exec", where: "" });
  if (shim) {
    stayAsExecShim(draft, shim);
    return;
  }
  attendChild(host, request.mode);
  cleanup.unshift({ op: "kill-child", where: "" });
}
