/**
 * Resource limits of setrlimit(2): names as in OCI configs, numbers of include/uapi/asm-generic/resource.h
 * (x86-64 and arm64 share them), and the short names of `--ulimit`.
 */

/** In order of their number: RLIMIT_CPU is 0. */
export const rlimitNames = [
  "RLIMIT_CPU",
  "RLIMIT_FSIZE",
  "RLIMIT_DATA",
  "RLIMIT_STACK",
  "RLIMIT_CORE",
  "RLIMIT_RSS",
  "RLIMIT_NPROC",
  "RLIMIT_NOFILE",
  "RLIMIT_MEMLOCK",
  "RLIMIT_AS",
  "RLIMIT_LOCKS",
  "RLIMIT_SIGPENDING",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
] as const;

export type Rlimit = (typeof rlimitNames)[number];

/** RLIM_INFINITY of the 64-bit interface (prlimit64). */
export const rlimInfinity = (1n << 64n) - 1n;

const numbers: ReadonlyMap<string, number> = new Map(rlimitNames.map((name, number) => [name, number]));

/** "RLIMIT_NOFILE" -> 7; undefined if unknown. */
export function rlimitNumber(name: string): number | undefined {
  return numbers.get(name);
}

/** "nofile", "RLIMIT_NOFILE" -> "RLIMIT_NOFILE"; undefined for a name that does not exist. */
export function parseRlimit(text: string): Rlimit | undefined {
  const upper = text.toUpperCase();
  const name = upper.startsWith("RLIMIT_") ? upper : `RLIMIT_${upper}`;
  return numbers.has(name) ? (name as Rlimit) : undefined;
}
