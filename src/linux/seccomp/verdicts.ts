/**
 * From a policy to one verdict for every system call name. This is where the meaning of a policy is
 * decided; compile.ts only writes it down as BPF.
 *
 * The meaning is that of runc over libseccomp:
 * - A rule whose action is the default action says nothing and is skipped.
 * - Names that an architecture does not have are skipped there.
 * - All conditions of a rule must hold; but if a rule names one argument twice, each of its conditions
 *   is a rule of its own (runc, libcontainer/seccomp matchCall).
 * - A rule without conditions beats all rules with conditions for the same call, before and after it,
 *   and the first of several wins (libseccomp, db_rule_add).
 * - Where rules with conditions overlap and differ in action, the order is that of libseccomp's search
 *   tree, not that of the policy: see inPrecedence. (libseccomp refuses some such pairs with EEXIST.)
 * - On i386, a rule for a socket or System V IPC call also covers the same call made through
 *   socketcall(2) or ipc(2) (libseccomp, x86_rule_add). The arguments proper are behind a pointer
 *   there, so a condition on argument 0 is replaced by the number of the call.
 */
import { type Condition, conditionOf, returnValueOf } from "./actions.ts";
import { multiplexedOnX86 } from "./multiplexed.ts";
import type { LinuxSeccomp, LinuxSeccompArg, SeccompOperator } from "./policy.ts";

/** Conditions that must all hold, and what is returned then. */
export interface ConditionalRule {
  readonly conditions: readonly Condition[];
  readonly value: number;
}

/** What happens to one system call: a return value, or the first rule that matches, else the default. */
export type CallVerdict = number | readonly ConditionalRule[];

/** One rule of the policy for one call, unread. */
interface Entry {
  readonly args: readonly LinuxSeccompArg[];
  readonly value: number;
  /** For a call made through socketcall or ipc: what argument 0 must be. */
  readonly selector: number | undefined;
}

/** Most calls are allowed as they are, so one number is the common case, and no rule is read twice. */
type Entries = number | Entry[];

const noArgs: readonly LinuxSeccompArg[] = [];

function operatorRank(op: SeccompOperator): number {
  if (op === "SCMP_CMP_GT" || op === "SCMP_CMP_GE") return 1;
  return op === "SCMP_CMP_LT" || op === "SCMP_CMP_LE" ? 2 : 3;
}

/**
 * What libseccomp's tree has one node for: conditions that begin with the same comparison of a high half.
 * Without high halves, as on 32-bit architectures, the low ones alone decide.
 */
function nodeKey({ index, op, high, maskHigh }: Condition): string {
  return `${index} ${operatorRank(op)} ${high} ${maskHigh} ${maskHigh !== 0 && op === "SCMP_CMP_MASKED_EQ"}`;
}

/**
 * The order in which libseccomp looks at the rules of one call (db.c, _db_chain_lt): condition by
 * condition, higher arguments first, equality before less before greater, and of two limits the
 * narrower; what is left keeps the order of the policy.
 */
function inPrecedence(rules: readonly ConditionalRule[]): readonly ConditionalRule[] {
  // a node stands where its first rule put it
  const firstOf = new Map<string, number>();
  for (const [position, { conditions }] of rules.entries())
    for (const condition of conditions) {
      const key = nodeKey(condition);
      if (!firstOf.has(key)) firstOf.set(key, position);
    }

  return rules.toSorted((a, b) => {
    for (let i = 0; ; i++) {
      const [x, y] = [a.conditions[i], b.conditions[i]];
      if (x === undefined || y === undefined) return a.conditions.length - b.conditions.length;
      if (x.index !== y.index) return y.index - x.index;
      const rank = operatorRank(x.op);
      if (rank !== operatorRank(y.op)) return operatorRank(y.op) - rank;
      const narrower = rank === 2 ? 1 : -1;
      if (x.high !== y.high) return (x.high - y.high) * narrower;
      const [nodeX, nodeY] = [nodeKey(x), nodeKey(y)];
      if (nodeX !== nodeY) return firstOf.get(nodeX)! - firstOf.get(nodeY)!;
      if (x.low !== y.low) return (x.low - y.low) * narrower;
      if (x.maskLow !== y.maskLow || x.op !== y.op) return 0;
    }
  });
}

/** A condition that holds for every argument; libseccomp leaves it away. */
function isTrivial({ op, maskHigh, maskLow }: Condition): boolean {
  return op === "SCMP_CMP_MASKED_EQ" && maskHigh === 0 && maskLow === 0;
}

/** The alternatives of one rule; an alternative without conditions always matches. */
function alternatives({ args, selector }: Entry, argumentBits: 32 | 64): readonly (readonly Condition[])[] {
  const conditions = args.map((arg) => conditionOf(arg, argumentBits)).sort((a, b) => a.index - b.index);
  const repeated = conditions.some((condition, i) => condition.index === conditions[i + 1]?.index);
  const all = repeated ? conditions.map((condition) => [condition]) : [conditions];
  if (selector === undefined) return all.map((one) => one.filter((condition) => !isTrivial(condition)));
  const chosen: Condition = {
    index: 0,
    op: "SCMP_CMP_EQ",
    high: 0,
    low: selector,
    maskHigh: 0,
    maskLow: 0xffffffff,
  };
  return all.map((one) => [
    chosen,
    ...one.filter((condition) => condition.index !== 0 && !isTrivial(condition)),
  ]);
}

/** The value of the first rule that always matches, as far as that shows without reading conditions. */
function plainlyDecided(entries: readonly Entry[]): number | undefined {
  for (const { args, value, selector } of entries) {
    if (selector !== undefined) continue;
    if (args.length === 0) return value;
    if (args.some((arg) => arg.op === "SCMP_CMP_MASKED_EQ")) return undefined;
  }
  return undefined;
}

/** Reads the rules of one call for an architecture. */
function verdictOf(entries: readonly Entry[], argumentBits: 32 | 64): CallVerdict {
  const decided = plainlyDecided(entries);
  if (decided !== undefined) return decided;
  const rules: ConditionalRule[] = [];
  let differ = false;
  for (const entry of entries) {
    const all = alternatives(entry, argumentBits);
    if (all.some((conditions) => conditions.length === 0)) return entry.value;
    if (rules.length > 0 && rules[0]!.value !== entry.value) differ = true;
    for (const conditions of all) rules.push({ conditions, value: entry.value });
  }
  return differ ? inPrecedence(rules) : rules;
}

/** A policy by system call name. */
export class PolicyVerdicts {
  readonly defaultValue: number;
  readonly #byName = new Map<string, Entries>();
  /** What the policy says about socketcall and ipc of i386. */
  readonly #multiplexing = new Map<string, Entry[]>();
  /** Verdicts that were read, by their only rule: calls of one rule share one, and so its code. */
  readonly #shared = { 32: new Map<Entry, CallVerdict>(), 64: new Map<Entry, CallVerdict>() };

  constructor(policy: LinuxSeccomp) {
    this.defaultValue = returnValueOf(policy.defaultAction, policy.defaultErrnoRet);
    for (const { names, action, errnoRet, args = noArgs } of policy.syscalls ?? []) {
      const value = returnValueOf(action, errnoRet);
      if (value === this.defaultValue) this.#mention(names);
      else this.#add(names, { args, value, selector: undefined });
    }
  }

  /** Names whose rule is redundant: they count for "the largest number that the policy names" only. */
  #mention(names: readonly string[]): void {
    for (const name of names) if (!this.#byName.has(name)) this.#byName.set(name, []);
  }

  #add(names: readonly string[], entry: Entry): void {
    const byName = this.#byName;
    const plain = entry.args.length === 0;
    for (const name of names) {
      const entries = byName.get(name);
      if (entries === undefined) byName.set(name, plain ? entry.value : [entry]);
      else if (typeof entries !== "number") entries.push(entry);
      const through = multiplexedOnX86.get(name);
      if (through !== undefined) this.#multiplex(through[0], { ...entry, selector: through[1] });
      else if (name === "socketcall" || name === "ipc") this.#multiplex(name, entry);
    }
  }

  #multiplex(call: string, entry: Entry): void {
    const known = this.#multiplexing.get(call);
    if (known === undefined) this.#multiplexing.set(call, [entry]);
    else known.push(entry);
  }

  mentions(name: string): boolean {
    return this.#byName.has(name);
  }

  /**
   * What happens to a call; undefined if the policy does not name it. `multiplexing` asks for i386, where
   * some calls carry others.
   */
  of(name: string, argumentBits: 32 | 64, multiplexing: boolean): CallVerdict | undefined {
    let entries = this.#byName.get(name);
    if (multiplexing && (name === "socketcall" || name === "ipc"))
      entries = this.#multiplexing.get(name) ?? entries;
    if (entries === undefined || typeof entries === "number") return entries;
    if (entries.length === 0) return this.defaultValue;
    if (entries.length > 1) return verdictOf(entries, argumentBits);
    const shared = this.#shared[argumentBits];
    const verdict = shared.get(entries[0]!) ?? verdictOf(entries, argumentBits);
    shared.set(entries[0]!, verdict);
    return verdict;
  }
}
