/**
 * The eight kinds of Linux namespaces: OCI name, clone flag (include/uapi/linux/sched.h), file in
 * /proc/PID/ns.
 */

export const namespaceKinds = ["mount", "cgroup", "uts", "ipc", "user", "pid", "network", "time"] as const;

/** A namespace kind as `linux.namespaces[].type` names it. */
export type NamespaceKind = (typeof namespaceKinds)[number];

export interface NamespaceFacts {
  /** CLONE_NEW* */
  readonly cloneFlag: number;
  /** Name in /proc/PID/ns of what the process is in. */
  readonly procName: string;
  /** Name in /proc/PID/ns of what its next children will be in, where that differs (pid, time). */
  readonly procChildrenName: string;
}

function facts(cloneFlag: number, procName: string, procChildrenName = procName): NamespaceFacts {
  return { cloneFlag, procName, procChildrenName };
}

/** CLONE_NEWTIME shares its bit with the exit signal of clone(2): clone3(2) and unshare(2) only. */
export const namespaces: Readonly<Record<NamespaceKind, NamespaceFacts>> = {
  mount: facts(0x00020000, "mnt"),
  cgroup: facts(0x02000000, "cgroup"),
  uts: facts(0x04000000, "uts"),
  ipc: facts(0x08000000, "ipc"),
  user: facts(0x10000000, "user"),
  pid: facts(0x20000000, "pid", "pid_for_children"),
  network: facts(0x40000000, "net"),
  time: facts(0x00000080, "time", "time_for_children"),
};

export function isNamespaceKind(name: string): name is NamespaceKind {
  return Object.hasOwn(namespaces, name);
}

/** All flags of `kinds` together, as an unsigned number. */
export function cloneFlags(kinds: Iterable<NamespaceKind>): number {
  let flags = 0;
  for (const kind of kinds) flags |= namespaces[kind].cloneFlag;
  return flags >>> 0;
}
