/**
 * linux.seccomp -> a classic BPF program.
 *
 * Layout: one look at the architecture, then for each architecture a balanced binary search over
 * intervals of system call numbers that share a verdict, then argument checks where a call has them.
 * The kernel runs a new filter once for every system call number to learn which are always allowed
 * (kernel/seccomp.c, seccomp_cache_prepare), so a list that is walked from its head costs a
 * millisecond to load and a tree a tenth of that.
 *
 *   arch == native ──► number >= 128 ──► number >= 230 ──► … ──► return ALLOW
 *        │ no               │ no              │ no          └──► check arguments
 *   arch == second …        …                 …
 *        │ no
 *   return KILL_THREAD
 *
 * A call of an architecture that the policy does not name kills the thread, and so does an x32 call
 * where x32 is not named: libseccomp's default for both.
 */
import { type Condition, filterFlags, invalidPolicy, returnValueOf, seccompReturn } from "./actions.ts";
import { seccompArchitectures, x32SyscallBit } from "./architectures.ts";
import { BackwardAssembler, type Label, opcodes } from "./assembler.ts";
import type { LinuxSeccomp, SeccompArch } from "./policy.ts";
import { type ArchVerdicts, type CallVerdict, type ConditionalRule, verdictsOf } from "./verdicts.ts";

export interface SeccompOptions {
  /** The architecture of this machine; it is part of every filter, named or not, as with libseccomp. */
  readonly native: SeccompArch;
  /**
   * Whether calls with a number above the largest that the policy names get ENOSYS instead of the
   * default action (on by default). Such calls are younger than the policy, and libc falls back to an
   * older call on ENOSYS only. This is runc's stub (libcontainer/seccomp/patchbpf), with the same
   * exceptions: default actions that let the call run (ALLOW, LOG, TRACE) stay.
   */
  readonly enosysForNewer?: boolean;
}

export interface SeccompFilter {
  /** Array of struct sock_filter, little-endian. */
  readonly program: Uint8Array;
  readonly instructions: number;
  /** The flags argument of seccomp(2). */
  readonly flags: number;
  /** Whether the filter needs a listener (an action is SCMP_ACT_NOTIFY); NEW_LISTENER is in `flags` then. */
  readonly listener: boolean;
  /** Names of the policy that none of its architectures has; they are skipped. */
  readonly unknownNames: readonly string[];
}

const enosys = (seccompReturn.errno | 38) >>> 0;
const dataNumber = 0;
const dataArch = 4;
const dataArgs = 16;

/** A run of numbers, up to the start of the next one, that share a verdict. */
interface Interval {
  readonly start: number;
  readonly verdict: CallVerdict;
  /** Equal for equal verdicts. */
  readonly key: string;
}

function keyOf(verdict: CallVerdict): string {
  if (typeof verdict === "number") return String(verdict);
  return verdict
    .map(
      ({ conditions, value }) =>
        `${conditions.map((c) => `${c.index}${c.op}${c.high},${c.low},${c.maskHigh},${c.maskLow}`).join("&")}?${value}`,
    )
    .join("|");
}

class Intervals {
  readonly list: Interval[] = [];

  /** Says what holds from `start` on; calls come in ascending order of `start`. */
  from(start: number, verdict: CallVerdict): void {
    if (this.list.at(-1)?.start === start) this.list.pop();
    const last = this.list.at(-1);
    if (last !== undefined && last.verdict === verdict) return;
    const key = keyOf(verdict);
    if (last?.key !== key) this.list.push({ start, verdict, key });
  }
}

/** Writes the numbers of one architecture within [first, end) into `intervals`. */
function addArch(
  intervals: Intervals,
  first: number,
  end: number,
  verdicts: ArchVerdicts,
  policy: Defaults,
): void {
  intervals.from(first, policy.value);
  for (const number of [...verdicts.calls.keys()].sort((a, b) => a - b)) {
    intervals.from(number, verdicts.calls.get(number)!);
    intervals.from(number + 1, policy.value);
  }
  if (policy.enosysForNewer && verdicts.largest > 0 && verdicts.largest + 1 < end)
    intervals.from(verdicts.largest + 1, enosys);
}

interface Defaults {
  readonly value: number;
  readonly enosysForNewer: boolean;
}

/** Writes the checks of one call; what is loaded before does not matter. */
function writeRules(out: BackwardAssembler, rules: readonly ConditionalRule[], otherwise: Label): Label {
  let next = otherwise;
  for (let i = rules.length - 1; i >= 0; i--) {
    const rule = rules[i]!;
    let success = out.return(rule.value);
    for (let j = rule.conditions.length - 1; j >= 0; j--)
      success = writeCondition(out, rule.conditions[j]!, success, next);
    next = success;
  }
  return next;
}

/** Writes one comparison: high half first where it matters, then the low half. */
function writeCondition(out: BackwardAssembler, condition: Condition, yes: Label, no: Label): Label {
  const { index, op, high, low, maskHigh, maskLow } = condition;
  const lowOffset = dataArgs + 8 * index;
  const load = (offset: number, mask: number) => {
    if (mask !== 0xffffffff) out.and(mask);
    return out.load(offset);
  };
  switch (op) {
    case "SCMP_CMP_NE":
      return writeEqual(no, yes);
    case "SCMP_CMP_EQ":
    case "SCMP_CMP_MASKED_EQ":
      return writeEqual(yes, no);
    case "SCMP_CMP_GT":
      return writeOrder(opcodes.ifGreater, yes, no);
    case "SCMP_CMP_GE":
      return writeOrder(opcodes.ifGreaterOrEqual, yes, no);
    case "SCMP_CMP_LE":
      return writeOrder(opcodes.ifGreater, no, yes);
    case "SCMP_CMP_LT":
      return writeOrder(opcodes.ifGreaterOrEqual, no, yes);
    default:
      throw op satisfies never;
  }

  function writeEqual(equal: Label, different: Label): Label {
    let label = equal;
    if (maskLow !== 0) {
      out.branch(opcodes.ifEqual, low, equal, different);
      label = load(lowOffset, maskLow);
    }
    if (maskHigh !== 0) {
      out.branch(opcodes.ifEqual, high, label, different);
      label = load(lowOffset + 4, maskHigh);
    }
    return label;
  }

  function writeOrder(lowCode: number, above: Label, below: Label): Label {
    out.branch(lowCode, low, above, below);
    let label = out.load(lowOffset);
    if (maskHigh !== 0) {
      label = out.branch(opcodes.ifEqual, high, label, below);
      out.branch(opcodes.ifGreater, high, above, label);
      label = out.load(lowOffset + 4);
    }
    return label;
  }
}

/** Writes the search over `intervals` and returns its entry, which expects the number to be loaded. */
function writeSearch(out: BackwardAssembler, intervals: readonly Interval[], byDefault: number): Label {
  const placed = new Map<string, Label>();

  function leaf(interval: Interval): Label {
    if (typeof interval.verdict === "number") return out.return(interval.verdict);
    const known = placed.get(interval.key);
    if (known !== undefined) return known;
    const label = writeRules(out, interval.verdict, out.return(byDefault));
    placed.set(interval.key, label);
    return label;
  }

  function search(first: number, end: number): Label {
    const lowest = intervals[first]!;
    if (end - first === 1) return leaf(lowest);
    // a single number within an interval of its own verdict: one test for equality
    if (end - first === 3) {
      const [inner, upper] = [intervals[first + 1]!, intervals[first + 2]!];
      if (lowest.key === upper.key && upper.start === inner.start + 1) {
        const no = leaf(lowest);
        const yes = leaf(inner);
        return out.branch(opcodes.ifEqual, inner.start, yes, no);
      }
    }
    let middle = (first + end) >>> 1;
    // halves of odd length end in such a triple more often
    if (end - first > 3 && (middle - first) % 2 === 0) middle++;
    const upper = search(middle, end);
    const lower = search(first, middle);
    return out.branch(opcodes.ifGreaterOrEqual, intervals[middle]!.start, upper, lower);
  }

  return search(0, intervals.length);
}

function checkNotify(policy: LinuxSeccomp): boolean {
  if (policy.defaultAction === "SCMP_ACT_NOTIFY")
    throw invalidPolicy("SCMP_ACT_NOTIFY cannot be used as default action");
  const calls = (policy.syscalls ?? []).filter((call) => call.action === "SCMP_ACT_NOTIFY");
  // the process that loads the filter must still hand over the listener
  if (calls.some((call) => call.names.includes("write")))
    throw invalidPolicy("SCMP_ACT_NOTIFY cannot be used for the write syscall");
  return calls.length > 0;
}

/** Compiles `policy` for a machine of architecture `options.native`. */
export function compileSeccomp(policy: LinuxSeccomp, options: SeccompOptions): SeccompFilter {
  const listener = checkNotify(policy);
  const value = returnValueOf(policy.defaultAction, policy.defaultErrnoRet);
  const runs = new Set<number>([seccompReturn.allow, seccompReturn.log, enosys]);
  const enosysForNewer = (options.enosysForNewer ?? true) && !runs.has(value) && value >>> 16 !== 0x7ff0;
  const defaults: Defaults = { value, enosysForNewer };

  const archs = new Set<SeccompArch>([options.native, ...(policy.architectures ?? [])]);
  const known = new Set<string>();
  const verdicts = new Map<SeccompArch, ArchVerdicts>();
  for (const arch of archs) {
    const facts = seccompArchitectures[arch];
    if (facts === undefined)
      throw invalidPolicy(`unknown architecture ${JSON.stringify(arch)}`, { architecture: arch });
    verdicts.set(arch, verdictsOf(policy, arch, facts.argumentBits, known));
  }

  const out = new BackwardAssembler();
  let dispatch = out.return(seccompReturn.killThread);
  const sections = new Map<number, Label>();
  const auditArchs = [...new Set([...archs].map((arch) => seccompArchitectures[arch].auditArch))];
  for (const auditArch of auditArchs.toReversed()) {
    const intervals = new Intervals();
    const x86_64 = verdicts.get("SCMP_ARCH_X86_64");
    const x32 = verdicts.get("SCMP_ARCH_X32");
    if (auditArch === seccompArchitectures.SCMP_ARCH_X86_64.auditArch) {
      if (x86_64) addArch(intervals, 0, x32SyscallBit, x86_64, defaults);
      else intervals.from(0, seccompReturn.killThread);
      if (x32) addArch(intervals, x32SyscallBit, 2 ** 32, x32, defaults);
      else {
        intervals.from(x32SyscallBit, seccompReturn.killThread);
        // a tracer that skips a call sets its number to -1, which must not kill (seccomp(2))
        intervals.from(0xffffffff, value);
      }
    } else {
      const arch = [...archs].find((name) => seccompArchitectures[name].auditArch === auditArch)!;
      addArch(intervals, 0, 2 ** 32, verdicts.get(arch)!, defaults);
    }
    out.goto(writeSearch(out, intervals.list, value));
    sections.set(auditArch, out.load(dataNumber));
  }
  for (const auditArch of auditArchs.toReversed())
    dispatch = out.branch(opcodes.ifEqual, auditArch, sections.get(auditArch)!, dispatch);
  out.load(dataArch);

  const program = out.finish();
  return {
    program,
    instructions: program.length / 8,
    flags: filterFlags(policy, listener),
    listener,
    unknownNames: [...new Set((policy.syscalls ?? []).flatMap((call) => call.names))].filter(
      (n) => !known.has(n),
    ),
  };
}
