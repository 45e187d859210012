/** `linux.sysctl`: only keys that belong to a namespace, and only where that namespace is the container's own. */
import { at, refuse } from "../../base/decode.ts";
import type { NamespaceKind } from "../../linux/namespaces.ts";
import type { Draft } from "./draft.ts";
import type { NamespacePlan } from "./namespaces.ts";

const ipcKeys = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** Which namespace a key belongs to; undefined for what would change the whole machine. */
function namespaceOf(key: string): NamespaceKind | undefined {
  if (ipcKeys.has(key) || key.startsWith("fs.mqueue.")) return "ipc";
  if (key.startsWith("net.")) return "network";
  if (key === "kernel.domainname" || key === "kernel.hostname") return "uts";
  if (key.startsWith("user.")) return "user";
  return undefined;
}

/**
 * A key in the form with dots, and its file below /proc/sys. sysctl(8) takes either separator first and
 * swaps both, so that an interface name may hold a dot: net/ipv4/conf/eth0.1/forwarding.
 */
function parseKey(key: string, pointer: string): { readonly dotted: string; readonly file: string } {
  const slashFirst = /^[^./]*\//.test(key);
  const swap = (text: string) => text.replace(/[./]/g, (c) => (c === "." ? "/" : "."));
  const file = slashFirst ? key : swap(key);
  if (
    file.split("/").some((part) => part === "" || part === "." || part === "..") ||
    !/^[\x21-\x7e]+$/.test(file)
  )
    refuse(pointer, `${JSON.stringify(key)} is not the name of a sysctl`);
  return { dotted: swap(file), file };
}

/** Register of a private proc that shows everything. */
const wholeProc = "whole proc";

function hasSysctls(draft: Draft): boolean {
  return Object.keys(draft.linux.sysctl ?? {}).length > 0;
}

export function writeSysctls(draft: Draft, namespaces: NamespacePlan): void {
  for (const [key, value] of Object.entries(draft.linux.sysctl ?? {})) {
    const where = at("/linux/sysctl", key);
    const { dotted, file } = parseKey(key, where);
    const kind = namespaceOf(dotted);
    if (kind === undefined) refuse(where, `sysctl "${dotted}" is not in a separate kernel namespace`);
    if (!namespaces.private.has(kind))
      refuse(where, `sysctl "${dotted}" is not allowed in the hosts ${kind} namespace`);
    if (dotted === "kernel.hostname" && draft.config.hostname)
      refuse(where, `sysctl "kernel.hostname" contradicts the hostname of the config`);
    draft.child.push({
      op: "write-proc",
      where,
      phrase: `failed to write ${JSON.stringify(value)} to sysctl ${dotted}`,
      proc: wholeProc,
      path: `sys/${file}`,
      value,
    });
  }
  // with all of /proc/sys in it: gone before anything else is done
  if (hasSysctls(draft)) draft.child.push({ op: "close", where: "", fd: wholeProc });
}

/** Before pivot, when the child is in its namespaces. */
export function openProcForSysctls(draft: Draft): void {
  if (hasSysctls(draft))
    draft.child.push({ op: "open-proc", where: "/linux/sysctl", pids: 0, fd: wholeProc });
}
