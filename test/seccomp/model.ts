/**
 * What a policy means, said a second time in the plainest way: no BPF, no intervals, no shared code but
 * the tables. Slow, and obviously right where verdicts.ts and compile.ts are neither.
 */

import { returnValueOf } from "../../src/linux/seccomp/actions.ts";
import {
  seccompArchitectures,
  syscallNumbers,
  x32SyscallBit,
} from "../../src/linux/seccomp/architectures.ts";
import { multiplexedOnX86 } from "../../src/linux/seccomp/multiplexed.ts";
import type { LinuxSeccomp, LinuxSeccompArg, SeccompArch } from "../../src/linux/seccomp/policy.ts";

const kill = 0;

interface Rule {
  readonly args: readonly LinuxSeccompArg[];
  readonly value: number;
}

function holds(
  { index, op, value, valueTwo }: LinuxSeccompArg,
  args: readonly bigint[],
  bits: number,
): boolean {
  const is = BigInt.asUintN(bits, args[index]!);
  const limit = BigInt.asUintN(bits, BigInt(value));
  switch (op) {
    case "SCMP_CMP_EQ":
      return is === limit;
    case "SCMP_CMP_NE":
      return is !== limit;
    case "SCMP_CMP_LT":
      return is < limit;
    case "SCMP_CMP_LE":
      return is <= limit;
    case "SCMP_CMP_GT":
      return is > limit;
    case "SCMP_CMP_GE":
      return is >= limit;
    case "SCMP_CMP_MASKED_EQ":
      return (is & limit) === (BigInt(valueTwo ?? 0) & limit);
    default:
      throw op satisfies never;
  }
}

const numberMaps = new Map<SeccompArch, ReadonlyMap<string, number>>();

function numbersOf(arch: SeccompArch): ReadonlyMap<string, number> {
  const known = numberMaps.get(arch) ?? syscallNumbers(arch);
  numberMaps.set(arch, known);
  return known;
}

const remembered = new WeakMap<LinuxSeccomp, Map<string, readonly Rule[]>>();

function rulesFor(policy: LinuxSeccomp, arch: SeccompArch, number: number): readonly Rule[] {
  const known = remembered.get(policy) ?? new Map<string, readonly Rule[]>();
  remembered.set(policy, known);
  const rules = known.get(`${arch} ${number}`) ?? readRules(policy, arch, number);
  known.set(`${arch} ${number}`, rules);
  return rules;
}

/** The rules of one call, split where an argument is named twice. */
function readRules(policy: LinuxSeccomp, arch: SeccompArch, number: number): readonly Rule[] {
  const numbers = numbersOf(arch);
  const rules: Rule[] = [];
  for (const { names, action, errnoRet, args = [] } of policy.syscalls ?? []) {
    const value = returnValueOf(action, errnoRet);
    const twice = new Set(args.map((arg) => arg.index)).size < args.length;
    const alternatives = twice ? args.map((arg) => [arg]) : [args];
    for (const name of names) {
      const through = arch === "SCMP_ARCH_X86" ? multiplexedOnX86.get(name) : undefined;
      if (through !== undefined && numbers.get(through[0]) === number)
        for (const all of alternatives)
          rules.push({
            args: [
              { index: 0, op: "SCMP_CMP_EQ", value: through[1] },
              ...all.filter((arg) => arg.index !== 0),
            ],
            value,
          });
      if (numbers.get(name) === number) for (const all of alternatives) rules.push({ args: all, value });
    }
  }
  return rules;
}

/**
 * The values that the policy allows for this call: one, unless rules with conditions overlap and differ,
 * whose order is not the model's affair.
 */
export function expectedValues(
  policy: LinuxSeccomp,
  native: SeccompArch,
  data: DataView,
): ReadonlySet<number> {
  const number = data.getUint32(0, true);
  const auditArch = data.getUint32(4, true);
  const args = [0, 1, 2, 3, 4, 5].map((i) => data.getBigUint64(16 + 8 * i, true));
  const byDefault = returnValueOf(policy.defaultAction, policy.defaultErrnoRet);
  const present = new Set<SeccompArch>([native, ...(policy.architectures ?? [])]);
  const x86_64 = auditArch === seccompArchitectures.SCMP_ARCH_X86_64.auditArch;
  const arch = [...present].find((name) =>
    x86_64
      ? name === (number >= x32SyscallBit ? "SCMP_ARCH_X32" : "SCMP_ARCH_X86_64")
      : seccompArchitectures[name].auditArch === auditArch,
  );
  if (arch === undefined)
    return new Set([x86_64 && present.has("SCMP_ARCH_X86_64") && number === 0xffffffff ? byDefault : kill]);

  const bits = seccompArchitectures[arch].argumentBits;
  const rules = rulesFor(policy, arch, number).filter((rule) => rule.value !== byDefault);
  // a mask without bits is no condition
  const always = rules.find(({ args: all }) =>
    all.every((arg) => arg.op === "SCMP_CMP_MASKED_EQ" && BigInt.asUintN(bits, BigInt(arg.value)) === 0n),
  );
  if (always) return new Set([always.value]);
  const matching = rules.filter((rule) => rule.args.every((arg) => holds(arg, args, bits)));
  return new Set(matching.length === 0 ? [byDefault] : matching.map((rule) => rule.value));
}
