/**
 * Runtime config + facts about the host -> the plan of one container start.
 *
 *     host side                                    child
 *     open root, bind sources, namespaces
 *     make v2 cgroup
 *     clone ─────────────────────────────────────► join namespaces, wait for ids
 *     write id maps, id-map mounts ──identity────► become root
 *     make v1 cgroups, write limits,               root and mounts, up to the first that shows cgroups
 *     record ────────────────────────cgroups─────► enter them, cgroup namespace, mounts, devices, masks
 *     network ───────────────────────network─────►
 *     prestart, createRuntime ◄───────mounted────► createContainer
 *                                                  pivot, sysctls, confinement
 *     wait for exec ◄───────────────────────────── exec
 */
import { refuse } from "../../base/decode.ts";
import { bug, GantryError } from "../../base/error.ts";
import { cloneFlags } from "../../linux/namespaces.ts";
import { kernelAtLeast } from "../host-facts.ts";
import { meetings } from "../meetings.ts";
import { type Plan, syncPoints } from "../plan.ts";
import { readCapabilities } from "./capabilities.ts";
import { delegateCgroup } from "./cgroup-delegation.ts";
import { controllersToEnable, limitCgroups } from "./cgroup-limits.ts";
import {
  awaitUnit,
  cgroupsOf,
  enterCgroups,
  foreignCgroups,
  makeControllerCgroups,
  makeUnifiedCgroup,
} from "./cgroups.ts";
import { makeDevices, openDevices } from "./devices.ts";
import { closeDonors } from "./donors.ts";
import { Draft, rootRegister } from "./draft.ts";
import { keepHeld } from "./held-mounts.ts";
import { hooksOf, runHooks } from "./hooks.ts";
import { mapLayers } from "./idmapped-root.ts";
import { joinResctrl } from "./intel-rdt.ts";
import { closeChildStdio, followChild, openStdio, recordStart } from "./life.ts";
import { hidePaths, makeRootReadOnly } from "./masks.ts";
import { type PlannedMount, readMounts } from "./mount-entries.ts";
import { mapSources, needsUserNamespace, openSources, placeMounts } from "./mounts.ts";
import {
  clonedNamespaces,
  enterNamespaces,
  type NamespacePlan,
  nameNamespaces,
  openNamespaces,
  readNamespaces,
  unshareCgroup,
} from "./namespaces.ts";
import { needsFilter } from "./needs-filter.ts";
import { announceNetwork, awaitNetDevices, checkNetDevices, moveNetDevices } from "./net-devices.ts";
import { becomeProgram, needsProcForProcess, processOf } from "./process.ts";
import type { ContainerRequest } from "./request.ts";
import { attachRoot, openRoot, rootOf, spreadRoot } from "./root.ts";
import { setOomScore } from "./scheduling.ts";
import { checkListener } from "./seccomp-listener.ts";
import { forgetStreams, openConsole, openStreams } from "./streams.ts";
import { openProcForSysctls, writeSysctls } from "./sysctl.ts";
import { openUserNamespace } from "./user-namespace.ts";

/** Younger calls have an older way beside them. The lower bound is that of mount_setattr(2). */
function refuseOldKernel({ facts }: Draft): void {
  if (kernelAtLeast(facts, 5, 12)) return;
  const { release } = facts.kernel;
  throw new GantryError(
    "failed-precondition",
    `start container: Linux 5.12 or later is needed (mount_setattr), this is ${release}`,
    { detail: { release } },
  );
}

/** Compiles the start of a container. Throws invalid-argument with the JSON pointer of what is wrong. */
export function compileContainer(request: ContainerRequest): Plan {
  const draft = new Draft(request);
  refuseOldKernel(draft);
  if (!request.config.linux) refuse("/linux", "is required");
  const namespaces = readNamespaces(draft);
  processOf(draft);
  const capabilities = readCapabilities(draft, namespaces);
  const mounts = readMounts(draft);
  const { filter } = request;
  if (!filter && needsFilter(request.config.linux.seccomp)) bug("a start whose policy was not compiled");
  checkListener(draft, filter);
  checkNetDevices(draft, namespaces);
  const cgroups = cgroupsOf(draft);
  const cloned = clonedNamespaces(draft, namespaces);

  openNamespaces(draft, namespaces);
  openRoot(draft, namespaces);
  openSources(draft, mounts);
  openDevices(draft, namespaces);
  if (namespaces.joined.has("user")) mapIds(draft, namespaces, mounts, false);
  const stdio = openStdio(draft);
  openStreams(draft);
  const cgroup = makeUnifiedCgroup(draft, cgroups, controllersToEnable(draft, cgroups));
  closeDonors(draft);
  draft.host.push({
    op: "clone",
    where: "/linux/namespaces",
    phrase: "unable to start container process",
    namespaces: cloneFlags(cloned),
    cgroup,
  });
  closeChildStdio(draft, stdio);
  forgetStreams(draft);
  // a directory of the host's cgroup tree is a way out for who can trace the child (CVE-2024-21626)
  if (cgroup !== undefined) draft.child.push({ op: "close", where: "/linux/cgroupsPath", fd: cgroup });
  keepHeld(draft);

  enterNamespaces(draft, namespaces, cloned, () => mapIds(draft, namespaces, mounts, true));

  announceNetwork(draft, namespaces);
  awaitUnit(draft, cgroups, controllersToEnable(draft, cgroups));
  makeControllerCgroups(draft, cgroups);
  if (foreignCgroups(draft)?.kind !== "none") limitCgroups(draft, cgroups);
  delegateCgroup(draft, cgroups, mounts);
  const enter = enterCgroups(draft, cgroups, namespaces);
  setOomScore(draft);
  joinResctrl(draft);
  recordStart(draft, cgroups);
  const awaited = cgroups.length > 0 || request.mode.kind === "engine" || draft.linux.intelRdt !== undefined;
  if (awaited || request.config.process?.oomScoreAdj !== undefined) draft.tellCgroups(enter);
  moveNetDevices(draft, namespaces);

  attachRoot(draft);
  if (needsProcForProcess(draft)) draft.openProc();
  openProcForSysctls(draft);
  nameNamespaces(draft, namespaces);
  placeMounts(draft, mounts, namespaces, cgroups);
  makeDevices(draft, namespaces);
  draft.awaitCgroups();
  unshareCgroup(draft, namespaces);
  awaitNetDevices(draft);
  meetController(draft);
  meetHooks(draft);
  openConsole(draft);
  hidePaths(draft);
  makeRootReadOnly(draft);
  draft.child.push({
    op: "pivot",
    where: "/root",
    phrase: "error jailing process inside rootfs",
    root: rootRegister,
    mode: request.mode.kind === "oci" && request.mode.noPivot ? 1 : 0,
  });
  spreadRoot(draft);
  writeSysctls(draft, namespaces);
  becomeProgram(draft, { namespaces, capabilities, filter, stdio });
  followChild(draft, cgroups);
  return draft.finish();
}

/** Mounts that show the container's ids, once the host side has its user namespace. */
function mapIds(
  draft: Draft,
  namespaces: NamespacePlan,
  mounts: readonly PlannedMount[],
  childExists: boolean,
): void {
  const root = rootOf(draft);
  if (root.kind !== "overlay" && !needsUserNamespace(mounts)) return;
  if (childExists) openUserNamespace(draft, namespaces);
  mapSources(draft, mounts);
  if (root.kind === "overlay") mapLayers(draft, root, childExists);
}

/** The network is the controller's work: it gets the child's pid and says go. */
function meetController(draft: Draft<ContainerRequest>): void {
  const { mode } = draft.request;
  if (mode.kind !== "engine" || !mode.network) return;
  draft.host.push({ op: "sync", where: "", point: syncPoints.network });
  draft.meet("network");
}

/** Hooks of the runtime run when mounts are there and limits are set, those of the container before pivot. */
function meetHooks(draft: Draft): void {
  if (hooksOf(draft, "prestart").length + hooksOf(draft, "createRuntime").length > 0) {
    draft.child.push({ op: "tell-host", where: "/hooks", step: meetings.mounted });
    draft.host.push({ op: "await-child", where: "/hooks", step: meetings.mounted });
    runHooks(draft, draft.host, "prestart", "creating");
    runHooks(draft, draft.host, "createRuntime", "creating");
    draft.meet("mounted");
  }
  runHooks(draft, draft.child, "createContainer", "creating");
}
