/** Scheduling, IO priority, personality, memory policy and OOM score of the process. */
import { refuse } from "../../base/decode.ts";
import { schedulerFlags } from "../../spec/runtime-process.ts";
import type { Draft } from "./draft.ts";
import type { ExecRequest } from "./request.ts";

/** SCHED_* of sched(7). */
const policies = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
} as const;

/** IOPRIO_CLASS_* of ioprio_set(2); the class stands above 13 bits of priority. */
const ioClasses = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 } as const;

/** PER_* of personality(2). */
const personalities = { LINUX: 0, LINUX32: 8 } as const;

/** By the host side: lowering it needs CAP_SYS_RESOURCE in the first user namespace. Unset is not touched. */
export function setOomScore(draft: Draft): void {
  const { oomScoreAdj } = draft.config.process ?? {};
  if (oomScoreAdj === undefined) return;
  draft.host.push({
    op: "set-oom-score",
    where: "/process/oomScoreAdj",
    phrase: "failed to write oom_score_adj",
    value: String(oomScoreAdj),
  });
}

/** MPOL_F_* of set_mempolicy(2), which go with the mode. */
const memoryFlags = {
  MPOL_F_STATIC_NODES: 1 << 15,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_NUMA_BALANCING: 1 << 13,
} as const;

/** MPOL_* by their numbers. */
const memoryModes = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
} as const;

/** The most nodes that a kernel is built for (CONFIG_NODES_SHIFT 10). */
const nodeLimit = 1024;
/** The most CPUs that a kernel is built for (CONFIG_NR_CPUS on x86-64 and arm64). */
const cpuLimit = 8192;

/** "0-2,7" -> a bit mask in whole words of 64 bits. */
function listMask(list: string, limit: number, pointer: string, what: "node" | "CPU"): Uint8Array {
  const mask = new Uint8Array(limit / 8);
  let highest = -1;
  for (const part of list.split(",").map((text) => text.trim())) {
    if (part === "") continue;
    const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    const first = Number(range?.[1]);
    const last = Number(range?.[2] ?? first);
    if (!range || last < first || last >= limit)
      refuse(pointer, `${JSON.stringify(part)} is not a ${what} or a range of ${what}s`);
    for (let number = first; number <= last; number++) mask[number >> 3]! |= 1 << (number & 7);
    highest = Math.max(highest, last);
  }
  return mask.subarray(0, Math.ceil((highest + 1) / 64) * 8);
}

/** `initial` for the way into the container's cgroups, which may narrow it, `final` from there on. */
export function setAffinity(draft: Draft<ExecRequest>, moment: "initial" | "final"): void {
  const list = draft.config.process?.execCPUAffinity?.[moment];
  if (!list) return;
  const where = `/process/execCPUAffinity/${moment}`;
  // a clone into a v2 cgroup is there at once: what is initial is inherited from the host side
  const steps = moment === "initial" ? draft.host : draft.child;
  steps.push({
    op: "set-affinity",
    where,
    phrase: `unable to set ${moment} CPU affinity`,
    mask: listMask(list, cpuLimit, where, "CPU"),
  });
}

function setMemoryPolicy(draft: Draft): void {
  const { memoryPolicy } = draft.linux;
  if (!memoryPolicy) return;
  const where = "/linux/memoryPolicy";
  const { mode, nodes = "", flags = [] } = memoryPolicy;
  draft.child.push({
    op: "set-memory-policy",
    where,
    phrase: "failed to set memory policy",
    mode: flags.reduce((bits, flag) => bits | memoryFlags[flag], memoryModes[mode] as number),
    nodes: listMask(nodes, nodeLimit, `${where}/nodes`, "node"),
  });
}

export function setScheduling(draft: Draft): void {
  setMemoryPolicy(draft);
  const { scheduler, ioPriority } = draft.config.process ?? {};
  const { personality } = draft.linux;
  if (scheduler) setScheduler(draft, scheduler);
  if (ioPriority)
    draft.child.push({
      op: "set-priority",
      where: "/process/ioPriority",
      phrase: "failed to set io priority",
      kind: 1,
      value: (ioClasses[ioPriority.class] << 13) | (ioPriority.priority ?? 0),
    });
  if (personality) {
    if (personality.flags && personality.flags.length > 0)
      refuse("/linux/personality/flags", "no flags are defined");
    draft.child.push({
      op: "set-priority",
      where: "/linux/personality",
      phrase: "failed to set personality",
      kind: 2,
      value: personalities[personality.domain],
    });
  }
}

function setScheduler(
  draft: Draft,
  scheduler: NonNullable<NonNullable<Draft["config"]["process"]>["scheduler"]>,
): void {
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler;
  const where = "/process/scheduler";
  if (policy === "SCHED_ISO") refuse(`${where}/policy`, "SCHED_ISO is reserved and not implemented by Linux");
  if (nice < -20 || nice > 19) refuse(`${where}/nice`, `${nice} is not between -20 and 19`);
  const realtime = policy === "SCHED_FIFO" || policy === "SCHED_RR";
  if (priority !== 0 && !realtime)
    refuse(`${where}/priority`, "scheduler.priority can only be specified for SchedFIFO or SchedRR policy");
  if (realtime && (priority < 1 || priority > 99))
    refuse(`${where}/priority`, `${priority} is not between 1 and 99`);
  if (policy !== "SCHED_DEADLINE" && (runtime || deadline || period))
    refuse(where, "scheduler runtime/deadline/period can only be specified for SchedDeadline policy");
  draft.child.push({
    op: "set-scheduler",
    where,
    phrase: "error setting scheduler",
    policy: policies[policy],
    // SCHED_FLAG_*: bits in the order of the list
    flags: flags.reduce((bits, flag) => bits | (1 << schedulerFlags.indexOf(flag)), 0),
    nice: BigInt.asUintN(64, BigInt(nice)),
    priority,
    runtime,
    deadline,
    period,
  });
}
