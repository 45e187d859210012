/**
 * From a policy to one verdict for every number of one architecture. This is where the meaning of a
 * policy is decided; compile.ts only writes it down as BPF.
 *
 * The meaning is that of runc over libseccomp:
 * - A rule whose action is the default action says nothing and is skipped.
 * - Names that an architecture does not have are skipped there.
 * - All conditions of a rule must hold; but if a rule names one argument twice, each of its conditions
 *   is a rule of its own (runc, libcontainer/seccomp matchCall).
 * - A rule without conditions beats all rules with conditions for the same call, before and after it,
 *   and the first of several wins (libseccomp, db_rule_add).
 * - Where rules with conditions overlap and differ in action, the order is that of libseccomp's search
 *   tree, not that of the policy: see byPrecedence. (libseccomp refuses some such pairs with EEXIST.)
 * - On i386, a rule for a socket or System V IPC call also covers the same call made through
 *   socketcall(2) or ipc(2) (libseccomp, x86_rule_add). The arguments proper are behind a pointer
 *   there, so a condition on argument 0 is replaced by the number of the call.
 */

import { type Condition, conditionOf, returnValueOf } from "./actions.ts";
import { syscallNumbers } from "./architectures.ts";
import { multiplexedOnX86 } from "./multiplexed.ts";
import type { LinuxSeccomp, LinuxSyscall, SeccompArch, SeccompOperator } from "./policy.ts";

/** Conditions that must all hold, and what is returned then. */
export interface ConditionalRule {
  readonly conditions: readonly Condition[];
  readonly value: number;
}

/** What happens to one system call: a return value, or the first rule that matches, else the default. */
export type CallVerdict = number | readonly ConditionalRule[];

export interface ArchVerdicts {
  /** System call number -> verdict; numbers that are absent get the default action. */
  readonly calls: ReadonlyMap<number, CallVerdict>;
  /** The largest number that the policy names, whatever the action; 0 if it names none. */
  readonly largest: number;
}

function rulesOf(call: LinuxSyscall, value: number, argumentBits: 32 | 64): readonly ConditionalRule[] {
  if (call.args === undefined || call.args.length === 0) return [];
  const conditions = call.args.map((arg) => conditionOf(arg, argumentBits)).sort((a, b) => a.index - b.index);
  const repeated = conditions.some((condition, i) => condition.index === conditions[i + 1]?.index);
  return repeated
    ? conditions.map((condition) => ({ conditions: [condition], value }))
    : [{ conditions, value }];
}

function operatorRank(op: SeccompOperator): number {
  if (op === "SCMP_CMP_GT" || op === "SCMP_CMP_GE") return 1;
  return op === "SCMP_CMP_LT" || op === "SCMP_CMP_LE" ? 2 : 3;
}

/**
 * The order in which libseccomp looks at the rules of one call (db.c, _db_chain_lt): condition by
 * condition, higher arguments first, equality before less before greater, and of two limits the
 * narrower; what is left keeps the order of the policy.
 */
function byPrecedence(a: ConditionalRule, b: ConditionalRule): number {
  for (let i = 0; ; i++) {
    const [x, y] = [a.conditions[i], b.conditions[i]];
    if (x === undefined || y === undefined) return a.conditions.length - b.conditions.length;
    if (x.index !== y.index) return y.index - x.index;
    const rank = operatorRank(x.op);
    if (rank !== operatorRank(y.op)) return operatorRank(y.op) - rank;
    const narrower = rank === 2 ? 1 : -1;
    if (x.high !== y.high) return (x.high - y.high) * narrower;
    if (x.maskHigh !== y.maskHigh) return 0;
    if (x.low !== y.low) return (x.low - y.low) * narrower;
    if (x.maskLow !== y.maskLow || x.op !== y.op) return 0;
  }
}

/** A condition that holds for every argument; libseccomp leaves it away. */
function isTrivial(condition: Condition): boolean {
  return condition.op === "SCMP_CMP_MASKED_EQ" && condition.maskHigh === 0 && condition.maskLow === 0;
}

/** Reads `policy` for `arch`. `known` collects the names that this architecture has. */
export function verdictsOf(
  policy: LinuxSeccomp,
  arch: SeccompArch,
  argumentBits: 32 | 64,
  known: Set<string>,
): ArchVerdicts {
  const numbers = syscallNumbers(arch);
  const byDefault = returnValueOf(policy.defaultAction, policy.defaultErrnoRet);
  const calls = new Map<number, CallVerdict>();
  let largest = 0;

  function add(number: number, rules: readonly ConditionalRule[], value: number): void {
    const before = calls.get(number);
    if (typeof before === "number") return;
    if (rules.length === 0) {
      calls.set(number, value);
      return;
    }
    let all: readonly ConditionalRule[] = before ?? [];
    for (const rule of rules) {
      const conditions = rule.conditions.filter((condition) => !isTrivial(condition));
      if (conditions.length === 0) {
        calls.set(number, value);
        return;
      }
      all = [...all, { conditions, value }];
    }
    if (all.some((rule) => rule.value !== value)) all = all.toSorted(byPrecedence);
    calls.set(number, all);
  }

  for (const call of policy.syscalls ?? []) {
    const value = returnValueOf(call.action, call.errnoRet);
    const rules = rulesOf(call, value, argumentBits);
    for (const name of call.names) {
      const number = numbers.get(name);
      const multiplexed = arch === "SCMP_ARCH_X86" ? multiplexedOnX86.get(name) : undefined;
      if (number === undefined && multiplexed === undefined) continue;
      known.add(name);
      if (number !== undefined && number > largest) largest = number;
      if (value === byDefault) continue;
      if (multiplexed !== undefined) {
        const [through, selector] = multiplexed;
        const is: Condition = {
          index: 0,
          op: "SCMP_CMP_EQ",
          high: 0,
          low: selector,
          maskHigh: 0,
          maskLow: 0xffffffff,
        };
        const selected = (rules.length === 0 ? [{ conditions: [], value }] : rules).map((rule) => ({
          conditions: [is, ...rule.conditions.filter((condition) => condition.index !== 0)],
          value,
        }));
        add(numbers.get(through)!, selected, value);
      }
      if (number !== undefined) add(number, rules, value);
    }
  }
  return { calls, largest };
}
