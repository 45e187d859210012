/**
 * Runs two filters of one policy side by side over system call numbers and argument values, and counts
 * or names the differences.
 */
import {
  seccompArchitectures,
  syscallNumbers,
  x32SyscallBit,
} from "../../src/linux/seccomp/architectures.ts";
import type { LinuxSeccomp, LinuxSeccompArg } from "../../src/linux/seccomp/policy.ts";
import { runSeccompFilter, seccompData } from "../../src/linux/seccomp/simulate.ts";

const full = (1n << 64n) - 1n;

/** A small reproducible source of numbers (mulberry32). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values of an argument at which a condition's answer may change, and some beside them. */
function boundaries({ value, valueTwo, op }: LinuxSeccompArg): readonly bigint[] {
  const a = BigInt(value);
  const near = (n: bigint) => [n - 1n, n, n + 1n, n ^ (1n << 32n), n & 0xffffffffn, n | (0xffffffffn << 32n)];
  if (op !== "SCMP_CMP_MASKED_EQ") return [...near(a), n64(a << 1n), a >> 1n].map(n64);
  const b = BigInt(valueTwo ?? 0);
  const lowest = a & -a;
  return [
    b,
    b & a,
    (b & a) | (full & ~a),
    (b & a) ^ lowest,
    (b & a) ^ (a >> 1n),
    a,
    b | a,
    ...near(b & a),
  ].map(n64);
}

const n64 = (n: bigint): bigint => BigInt.asUintN(64, n);

export interface Difference {
  readonly number: number;
  readonly auditArch: number;
  readonly args: readonly bigint[];
  readonly ours: number;
  readonly theirs: number;
}

export interface Comparison {
  readonly compared: number;
  readonly differences: readonly Difference[];
}

/** Numbers to ask for: all small ones, those of x32, and odd ones. */
function numbersToTry(): readonly number[] {
  const numbers: number[] = [];
  for (let n = 0; n <= 600; n++) numbers.push(n, (x32SyscallBit + n) >>> 0);
  for (let n = 0; n < 8; n++) numbers.push(0xf0000 + n);
  return [...numbers, 0x3fffffff, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000000, 0xfffffffe, 0xffffffff];
}

const allNumbers = numbersToTry();
const audits = [
  ...new Set([
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_S390X",
  ] as const),
].map((name) => seccompArchitectures[name].auditArch);

/** The conditions that a policy has for each number, over all architectures. */
function conditionsByNumber(policy: LinuxSeccomp): ReadonlyMap<number, readonly LinuxSeccompArg[]> {
  const conditions = new Map<number, LinuxSeccompArg[]>();
  for (const arch of policy.architectures ?? []) {
    const numbers = syscallNumbers(arch);
    for (const { names, args } of policy.syscalls ?? [])
      for (const name of names) {
        for (const number of [numbers.get(name), numbers.get("socketcall"), numbers.get("ipc")]) {
          if (number === undefined) continue;
          const list = conditions.get(number) ?? [];
          list.push(...(args ?? []));
          conditions.set(number, list);
        }
      }
  }
  return conditions;
}

export interface CompareOptions {
  readonly random: () => number;
  /** How many combinations of arguments for each call that has conditions. */
  readonly combinations: number;
  /** The width of arguments to try. */
  readonly bits: 32 | 64;
}

/** Compares `ours` with `theirs` over everything that `policy` may tell apart. */
export function compareFilters(
  policy: LinuxSeccomp,
  ours: Uint8Array,
  theirs: (data: DataView) => number,
  { random, combinations, bits }: CompareOptions,
): Comparison {
  const conditions = conditionsByNumber(policy);
  const differences: Difference[] = [];
  let compared = 0;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const anything = () => BigInt(Math.floor(random() * 2 ** 32)) << BigInt(pick([0, 0, 16, 32]));
  const plain = [0, 1, 2, 3, 4, 5].map(() => [0n, 1n, full]);
  for (const number of allNumbers) {
    if (!conditions.has(number)) {
      compareCall(number, plain, 1);
      continue;
    }
    const byArg = [0, 1, 2, 3, 4, 5].map((index) => {
      const own = (conditions.get(number) ?? []).filter((arg) => arg.index === index).flatMap(boundaries);
      // the numbers by which socketcall and ipc choose
      return [0n, 1n, full, ...own, ...(index === 0 ? [2n, 3n, 11n, 21n, 24n] : [])];
    });
    compareCall(number, byArg, combinations);
  }
  return { compared, differences };

  function compareCall(number: number, byArg: readonly (readonly bigint[])[], tries: number): void {
    for (const auditArch of audits)
      for (let i = 0; i < tries; i++) {
        const args = byArg.map((values) => BigInt.asUintN(bits, random() < 0.9 ? pick(values) : anything()));
        const data = seccompData({ number, auditArch, args, instructionPointer: anything() });
        const a = runSeccompFilter(ours, data).action;
        const b = theirs(data);
        compared++;
        if (a !== b) differences.push({ number, auditArch, args, ours: a, theirs: b });
      }
  }
}

/** The first difference in words. */
export function describeDifference({ number, auditArch, args, ours, theirs }: Difference): string {
  const hex = (n: number | bigint) => `0x${n.toString(16)}`;
  return `arch ${hex(auditArch)} call ${number} (${args.map(hex).join(", ")}): ours ${hex(ours)}, expected ${hex(theirs)}`;
}
