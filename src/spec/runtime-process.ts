/** `process` of a runtime config (runtime-spec 1.3, config.md "Process"); also a file of `exec --process`. */
import {
  array,
  boolean,
  checked,
  type Decoded,
  type Decoder,
  integer,
  object,
  oneOf,
  optional,
  pattern,
  refuse,
  string,
} from "../base/decode.ts";
import { uint64 } from "./runtime-integers.ts";

const int32 = integer(-0x80000000, 0x7fffffff);
/** (uid_t) -1 means "no change" to the kernel, so it can never be an identity. */
const id = integer(0, 0xfffffffe);

export const schedulerPolicies = [
  "SCHED_OTHER",
  "SCHED_FIFO",
  "SCHED_RR",
  "SCHED_BATCH",
  "SCHED_ISO",
  "SCHED_IDLE",
  "SCHED_DEADLINE",
] as const;

export const schedulerFlags = [
  "SCHED_FLAG_RESET_ON_FORK",
  "SCHED_FLAG_RECLAIM",
  "SCHED_FLAG_DL_OVERRUN",
  "SCHED_FLAG_KEEP_POLICY",
  "SCHED_FLAG_KEEP_PARAMS",
  "SCHED_FLAG_UTIL_CLAMP_MIN",
  "SCHED_FLAG_UTIL_CLAMP_MAX",
] as const;

const absolutePath: Decoder<string> = pattern(/^\//, "an absolute path");
const cpuList = pattern(/^[0-9, -]*$/, "a list of CPUs");
/** execve refuses more than 128 KB in one string and 2 MB in all; far above that nothing can run. */
const words = array(string, 100_000);

const capabilitySets = object({
  bounding: optional(array(string, 1000)),
  effective: optional(array(string, 1000)),
  inheritable: optional(array(string, 1000)),
  permitted: optional(array(string, 1000)),
  ambient: optional(array(string, 1000)),
});

const rlimits = checked(
  array(
    object({ type: pattern(/^RLIMIT_[A-Z]+$/, "a limit such as RLIMIT_NOFILE"), soft: uint64, hard: uint64 }),
    100,
  ),
  (limits, pointer) => {
    for (const [index, limit] of limits.entries())
      if (limits.findIndex((other) => other.type === limit.type) !== index)
        refuse(`${pointer}/${index}/type`, `${limit.type} is given twice`);
  },
);

export const runtimeUser = object({
  uid: optional(id),
  gid: optional(id),
  umask: optional(integer(0, 0o7777)),
  additionalGids: optional(array(id, 65_536)),
  username: optional(string),
});

export const runtimeProcess = object({
  terminal: optional(boolean),
  consoleSize: optional(object({ height: integer(0, 0xffff), width: integer(0, 0xffff) })),
  user: optional(runtimeUser),
  cwd: absolutePath,
  args: optional(words),
  env: optional(words),
  capabilities: optional(capabilitySets),
  rlimits: optional(rlimits),
  noNewPrivileges: optional(boolean),
  apparmorProfile: optional(string),
  selinuxLabel: optional(string),
  oomScoreAdj: optional(integer(-1000, 1000)),
  scheduler: optional(
    object({
      policy: oneOf(...schedulerPolicies),
      nice: optional(int32),
      priority: optional(int32),
      flags: optional(array(oneOf(...schedulerFlags), 100)),
      runtime: optional(uint64),
      deadline: optional(uint64),
      period: optional(uint64),
    }),
  ),
  ioPriority: optional(
    object({
      class: oneOf("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"),
      priority: optional(integer(0, 7)),
    }),
  ),
  execCPUAffinity: optional(object({ initial: optional(cpuList), final: optional(cpuList) })),
});

export type RuntimeUser = Decoded<typeof runtimeUser>;
export type RuntimeProcess = Decoded<typeof runtimeProcess>;
export type RuntimeCapabilities = Decoded<typeof capabilitySets>;
