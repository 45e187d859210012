/** What passes between a container in OCI mode and its caller: terminal, streams, sockets, the word that it is ready. */
import { toHostId } from "../../linux/id-map.ts";
import type { Step } from "../plan.ts";
import { stateFiles } from "../state-files.ts";
import { type Draft, rootRegister } from "./draft.ts";
import type { ExecMode, OciMode } from "./request.ts";
import {
  connectConsole,
  connectSocket,
  forgetConsole,
  openTerminal,
  pidfdSocketRegister,
  receiveTerminal,
  relayedTerminal,
  type Streams,
  streamKinds,
} from "./terminal.ts";

const notifyRegister = "notify socket";
const managerRegister = "service manager";

/** Before the clone. */
export function openStreams(draft: Draft): void {
  const { mode } = draft.request;
  if (mode.kind !== "oci") return;
  const { host } = draft;
  proveDescriptors(draft);
  // whoever is told to end half-way leaves what is half made: the container gets the signal when it is whole
  if (mode.foreground) host.push({ op: "hold-signals", where: "" });
  connectConsole(host, mode);
  connectSocket(host, mode.pidfdSocket, pidfdSocketRegister);
  lendStdio(draft, mode);
  if (waitsForReady(mode))
    host.push({
      op: "open-notify",
      where: "",
      phrase: "unable to set up the notify socket",
      dir: mode.notify.directory,
      name: stateFiles.notifySocket,
      manager: mode.notify.manager,
      fd: notifyRegister,
      peer: managerRegister,
    });
}

/** A hole would be filled by what this side opens for itself, and that is not for the container. */
export function proveDescriptors({ host, request: { mode } }: Draft): void {
  const count = mode.kind === "engine" ? 0 : (mode.preserveFds ?? 0);
  if (count > 0)
    host.push({ op: "prove-descriptors", where: "", phrase: "unable to stat preserved-fd", count });
}

/** After the clone: of the host's descriptors the child keeps none. */
export function forgetStreams(draft: Draft): void {
  const { mode } = draft.request;
  if (mode.kind !== "oci") return;
  const { child } = draft;
  forgetConsole(child, mode);
  if (mode.pidfdSocket !== undefined) child.push({ op: "close", where: "", fd: pidfdSocketRegister });
  if (waitsForReady(mode))
    for (const fd of [notifyRegister, managerRegister]) child.push({ op: "close", where: "", fd });
}

/** A container that waits for `start` is ready only after it: then `start` listens. */
function waitsForReady(mode: OciMode): mode is OciMode & Required<Pick<OciMode, "notify">> {
  return mode.notify !== undefined && !mode.awaitStart;
}

/** Pipes of the host's root are nothing that root of a user namespace could give away. */
export function lendStdio({ host, config, linux }: Draft, { foreground }: Streams): void {
  const { namespaces = [], uidMappings = [] } = linux;
  if (!foreground || config.process?.terminal) return;
  if (!namespaces.some(({ type, path }) => type === "user" && !path)) return;
  const uid = toHostId(uidMappings, config.process?.user?.uid ?? 0);
  if (uid === undefined) return;
  const phrase = "unable to set stdio permissions";
  host.push({ op: "own-stdio", where: "/process/user/uid", phrase, uid, kinds: streamKinds.pipes });
}

/** The terminal of the first process is the console of the container. */
export function openConsole(draft: Draft): void {
  const { mode } = draft.request;
  const { process } = draft.config;
  if (!process) return;
  // a shim keeps it
  const streams: Streams = mode.kind === "engine" ? { foreground: false } : mode;
  openTerminal(draft.child, process, streams, { root: rootRegister, console: "/dev/console" });
  receiveTerminal(draft.host, process, streams);
}

/** `kind` is what runc sends with a pidfd: whether the process is the container's first or has joined it. */
export function sendProcess(host: Step[], socket: string | undefined, kind: "standard" | "setns"): void {
  if (socket === undefined) return;
  host.push({
    op: "send-descriptor",
    where: "",
    phrase: "failed to send pidfd on socket",
    socket: pidfdSocketRegister,
    payload: kind,
    descriptor: undefined,
  });
}

/** The last of the host side: waits for the end in the foreground, else for readiness where somebody wants to know. */
export function attendChild(host: Step[], mode: OciMode | ExecMode): void {
  const notify = mode.kind === "oci" && waitsForReady(mode) ? mode.notify : undefined;
  if (!mode.foreground) {
    if (notify)
      host.push({ op: "relay-notify", where: "", socket: notifyRegister, manager: managerRegister, pid: 0 });
    return;
  }
  const { console, terminal } = relayedTerminal(mode);
  if (terminal === undefined && !notify) host.push({ op: "await-exit", where: "" });
  else
    host.push({
      op: "attend-child",
      where: terminal === undefined ? "" : "/process/terminal",
      phrase: "unable to relay the console",
      console,
      terminal,
      notify: notify && notifyRegister,
      manager: notify && managerRegister,
      mainPid: notify?.mainPid ?? 0,
    });
}
