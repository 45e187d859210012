/** What passes between a container in OCI mode and its caller: terminal, streams, sockets, the word that it is ready. */
import { toHostId } from "../../linux/id-map.ts";
import { stateFiles } from "../state-files.ts";
import { type Draft, rootRegister } from "./draft.ts";
import type { OciMode } from "./request.ts";
import {
  connectConsole,
  connectSocket,
  forgetConsole,
  openTerminal,
  receiveTerminal,
  relayedTerminal,
  streamKinds,
} from "./terminal.ts";

const pidfdSocketRegister = "pidfd socket";
const notifyRegister = "notify socket";
const managerRegister = "service manager";

/** What runc sends with a pidfd: the kind of process that it stands for. */
const pidfdPayload = "standard";

/** Before the clone. */
export function openStreams(draft: Draft): void {
  const { mode } = draft.request;
  if (mode.kind !== "oci") return;
  const { host } = draft;
  connectConsole(host, mode);
  if (mode.pidfdSocket !== undefined) connectSocket(host, mode.pidfdSocket, pidfdSocketRegister);
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
function lendStdio({ host, config, linux }: Draft, { foreground }: OciMode): void {
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
  if (mode.kind !== "oci" || !process) return;
  openTerminal(draft.child, process, mode, { root: rootRegister, console: "/dev/console" });
  receiveTerminal(draft.host, process, mode);
}

export function sendProcess({ host }: Draft, { pidfdSocket }: OciMode): void {
  if (pidfdSocket === undefined) return;
  host.push({
    op: "send-descriptor",
    where: "",
    phrase: "failed to send pidfd on socket",
    socket: pidfdSocketRegister,
    payload: pidfdPayload,
    descriptor: undefined,
  });
}

/** The last of the host side: waits for the end in the foreground, else for readiness where somebody wants to know. */
export function attendChild({ host }: Draft, mode: OciMode): void {
  const ready = waitsForReady(mode);
  if (!mode.foreground) {
    if (ready)
      host.push({ op: "relay-notify", where: "", socket: notifyRegister, manager: managerRegister, pid: 0 });
    return;
  }
  const { console, terminal } = relayedTerminal(mode);
  if (terminal === undefined && !ready) host.push({ op: "await-exit", where: "" });
  else
    host.push({
      op: "attend-child",
      where: terminal === undefined ? "" : "/process/terminal",
      phrase: "unable to relay the console",
      console,
      terminal,
      notify: ready ? notifyRegister : undefined,
      manager: ready ? managerRegister : undefined,
      mainPid: mode.notify?.mainPid ?? 0,
    });
}
