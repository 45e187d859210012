/**
 * The words of a policy as numbers of the kernel: actions (SECCOMP_RET_*, include/uapi/linux/seccomp.h),
 * filter flags, comparison operators and 64-bit operands.
 */
import { GantryError } from "../../base/error.ts";
import type { LinuxSeccomp, LinuxSeccompArg, SeccompAction, SeccompFlag, SeccompOperator } from "./policy.ts";

/** SECCOMP_RET_* without data. */
export const seccompReturn = {
  killProcess: 0x80000000,
  killThread: 0x00000000,
  trap: 0x00030000,
  errno: 0x00050000,
  userNotification: 0x7fc00000,
  trace: 0x7ff00000,
  log: 0x7ffc0000,
  allow: 0x7fff0000,
} as const;

const actionNumbers: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_KILL: seccompReturn.killThread,
  SCMP_ACT_KILL_THREAD: seccompReturn.killThread,
  SCMP_ACT_KILL_PROCESS: seccompReturn.killProcess,
  SCMP_ACT_TRAP: seccompReturn.trap,
  SCMP_ACT_ERRNO: seccompReturn.errno,
  SCMP_ACT_TRACE: seccompReturn.trace,
  SCMP_ACT_ALLOW: seccompReturn.allow,
  SCMP_ACT_LOG: seccompReturn.log,
  SCMP_ACT_NOTIFY: seccompReturn.userNotification,
};

/** The names that `features` prints, in the order of the specification. */
export const seccompActionNames = Object.keys(actionNumbers) as readonly SeccompAction[];

export const seccompOperatorNames: readonly SeccompOperator[] = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
];

const eperm = 1;

export function invalidPolicy(reason: string, detail: Readonly<Record<string, unknown>> = {}): GantryError {
  return new GantryError("invalid-argument", `compile seccomp policy: ${reason}`, { detail });
}

/**
 * The return value for an action. ERRNO and TRACE carry `errnoRet`, or EPERM as runc does; the others
 * must not have one (config-linux.md: "when the action doesn't support an errno, the runtime MUST
 * print and error and fail").
 */
export function returnValueOf(action: SeccompAction, errnoRet: number | undefined): number {
  const base = actionNumbers[action];
  if (base === undefined) throw invalidPolicy(`unknown action ${JSON.stringify(action)}`, { action });
  if (base === seccompReturn.errno || base === seccompReturn.trace) {
    const data = errnoRet ?? eperm;
    if (!Number.isInteger(data) || data < 0 || data > 0xffff)
      throw invalidPolicy(`errnoRet ${data} is out of range (0 to 65535)`, { errnoRet: data });
    return (base | data) >>> 0;
  }
  if (errnoRet !== undefined) throw invalidPolicy(`errnoRet is not possible with ${action}`, { action });
  return base;
}

const flagBits: Readonly<Record<SeccompFlag, number>> = {
  // the filter is loaded by a process of one thread, so there is nothing to synchronise; and the bit
  // may not be combined with a listener (seccomp(2))
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 1 << 1,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 1 << 2,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 1 << 5,
};

export const seccompFlagNames = Object.keys(flagBits) as readonly SeccompFlag[];

/** SECCOMP_FILTER_FLAG_NEW_LISTENER: seccomp(2) then returns the notification descriptor. */
export const newListenerFlag = 1 << 3;

/**
 * The flags argument of seccomp(2). A policy without `flags` gets SPEC_ALLOW, as with runc: without it
 * old kernels switch speculation off for the whole container.
 */
export function filterFlags(policy: LinuxSeccomp, listener: boolean): number {
  let flags = listener ? newListenerFlag : 0;
  for (const name of policy.flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW" as const]) {
    const bit = flagBits[name];
    if (bit === undefined) throw invalidPolicy(`unknown flag ${JSON.stringify(name)}`, { flag: name });
    if (name === "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" && !listener)
      throw invalidPolicy(`flag ${name} needs an action SCMP_ACT_NOTIFY`, { flag: name });
    flags |= bit;
  }
  return flags;
}

/** One comparison of an argument, in 32-bit halves. */
export interface Condition {
  readonly index: number;
  readonly op: SeccompOperator;
  readonly high: number;
  readonly low: number;
  readonly maskHigh: number;
  readonly maskLow: number;
}

/** Checks a uint64. Numbers from 2^64 on come from JSON's rounding of the largest values. */
function checkUint64(value: number | bigint, what: string): void {
  const whole = typeof value === "bigint" ? value < 1n << 64n : Number.isInteger(value) && value <= 2 ** 64;
  if (!whole || value < 0) throw invalidPolicy(`${what} ${value} is out of range (uint64)`);
}

function highHalf(value: number | bigint): number {
  if (typeof value === "bigint") return Number(value >> 32n);
  return value === 2 ** 64 ? 0xffffffff : Math.floor(value / 2 ** 32);
}

function lowHalf(value: number | bigint): number {
  if (typeof value === "bigint") return Number(value & 0xffffffffn);
  return value === 2 ** 64 ? 0xffffffff : value % 2 ** 32;
}

const operators = new Set<string>(seccompOperatorNames);

/**
 * Checks one argument and cuts it into halves. On a 32-bit architecture only the low half counts, as
 * with libseccomp. A masked comparison compares under the mask on both sides.
 */
export function conditionOf(arg: LinuxSeccompArg, argumentBits: 32 | 64): Condition {
  if (!Number.isInteger(arg.index) || arg.index < 0 || arg.index > 5)
    throw invalidPolicy(`argument index ${arg.index} is out of range (0 to 5)`, { index: arg.index });
  if (!operators.has(arg.op))
    throw invalidPolicy(`unknown operator ${JSON.stringify(arg.op)}`, { op: arg.op });
  checkUint64(arg.value, "value");
  const wide = argumentBits === 64;
  if (arg.op !== "SCMP_CMP_MASKED_EQ")
    return {
      index: arg.index,
      op: arg.op,
      high: wide ? highHalf(arg.value) : 0,
      low: lowHalf(arg.value),
      maskHigh: wide ? 0xffffffff : 0,
      maskLow: 0xffffffff,
    };
  const is = arg.valueTwo ?? 0;
  checkUint64(is, "valueTwo");
  const maskHigh = wide ? highHalf(arg.value) : 0;
  const maskLow = lowHalf(arg.value);
  return {
    index: arg.index,
    op: arg.op,
    high: (highHalf(is) & maskHigh) >>> 0,
    low: (lowHalf(is) & maskLow) >>> 0,
    maskHigh,
    maskLow,
  };
}
