/**
 * Linux capabilities: the 41 names, their numbers (include/uapi/linux/capability.h), sets as bit masks.
 */

/** In order of their number: CAP_CHOWN is 0, CAP_CHECKPOINT_RESTORE (Linux 5.9) is 40. */
export const capabilityNames = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

export type Capability = (typeof capabilityNames)[number];

const numbers: ReadonlyMap<string, number> = new Map(capabilityNames.map((name, number) => [name, number]));

/** The number of the last capability that this table knows (compare /proc/sys/kernel/cap_last_cap). */
export const lastKnownCapability = capabilityNames.length - 1;

/** What Docker gives a container that asks for nothing (moby, oci/caps/defaults.go). */
export const dockerDefaultCapabilities: readonly Capability[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

/** "net_admin", "CAP_NET_ADMIN" -> "CAP_NET_ADMIN"; undefined for a name that does not exist. */
export function parseCapability(text: string): Capability | undefined {
  const upper = text.toUpperCase();
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  return numbers.has(name) ? (name as Capability) : undefined;
}

/** The number of a capability as it is named in an OCI config; undefined if unknown. */
export function capabilityNumber(name: string): number | undefined {
  return numbers.get(name);
}

/** A set as the bit mask of capset(2). Unknown names are left to the caller: they come back beside it. */
export function capabilityMask(names: Iterable<string>): {
  readonly mask: bigint;
  readonly unknown: readonly string[];
} {
  let mask = 0n;
  const unknown: string[] = [];
  for (const name of names) {
    const number = numbers.get(name);
    if (number === undefined) unknown.push(name);
    else mask |= 1n << BigInt(number);
  }
  return { mask, unknown };
}

/** The names of the bits of `mask`, in order of their number; bits beyond the table are left out. */
export function capabilitiesOfMask(mask: bigint): readonly Capability[] {
  return capabilityNames.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}
