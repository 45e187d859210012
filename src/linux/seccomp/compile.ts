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
import { filterFlags, invalidPolicy, seccompReturn } from "./actions.ts";
import {
  filterableArchitectures,
  seccompArchitectures,
  syscallTable,
  x32SyscallBit,
} from "./architectures.ts";
import { BackwardAssembler, type Label, opcodes } from "./assembler.ts";
import type { LinuxSeccomp, SeccompArch } from "./policy.ts";
import { type CallVerdict, PolicyVerdicts } from "./verdicts.ts";
import { writeRules } from "./write-rules.ts";

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
}

const enosys = (seccompReturn.errno | 38) >>> 0;
/** Offsets in struct seccomp_data. */
const dataNumber = 0;
const dataArch = 4;

/** Runs of numbers that share a verdict; each goes up to the start of the next. */
class Intervals {
  readonly starts: number[] = [];
  readonly verdicts: CallVerdict[] = [];

  /** Says what holds from `start` on; calls come in ascending order of `start`. */
  from(start: number, verdict: CallVerdict): void {
    const { starts, verdicts } = this;
    if (starts.length > 0 && starts[starts.length - 1] === start) {
      starts.pop();
      verdicts.pop();
    }
    if (verdicts.length > 0 && verdicts[verdicts.length - 1] === verdict) return;
    starts.push(start);
    verdicts.push(verdict);
  }
}

/** Writes the numbers of one architecture within [first, end) into `intervals`. */
function addArch(
  intervals: Intervals,
  arch: SeccompArch,
  first: number,
  end: number,
  policy: PolicyVerdicts,
  enosysForNewer: boolean,
): void {
  const { names, numbers } = syscallTable(arch);
  const { argumentBits } = seccompArchitectures[arch];
  const multiplexing = arch === "SCMP_ARCH_X86";
  let largest = 0;
  let next = first;
  intervals.from(first, policy.defaultValue);
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const verdict = policy.of(name, argumentBits, multiplexing);
    if (verdict === undefined) continue;
    const number = numbers[i]!;
    // socketcall and ipc of i386 may have a verdict only because of calls that they carry
    if (!multiplexing || policy.mentions(name)) largest = number;
    if (verdict === policy.defaultValue) continue;
    if (number > next) intervals.from(next, policy.defaultValue);
    intervals.from(number, verdict);
    next = number + 1;
  }
  if (next < end) intervals.from(next, policy.defaultValue);
  if (enosysForNewer && largest > 0 && largest + 1 < end) intervals.from(largest + 1, enosys);
}

/** Writes the search over `intervals` and returns its entry, which expects the number to be loaded. */
function writeSearch(out: BackwardAssembler, { starts, verdicts }: Intervals, byDefault: number): Label {
  const placed = new Map<CallVerdict, Label>();

  function leaf(verdict: CallVerdict): Label {
    if (typeof verdict === "number") return out.return(verdict);
    const known = placed.get(verdict);
    if (known !== undefined) return known;
    const label = writeRules(out, verdict, out.return(byDefault));
    placed.set(verdict, label);
    return label;
  }

  function search(first: number, end: number): Label {
    const lowest = verdicts[first]!;
    if (end - first === 1) return leaf(lowest);
    // a single number within an interval of its own verdict: one test for equality
    if (end - first === 3 && lowest === verdicts[first + 2] && starts[first + 2] === starts[first + 1]! + 1) {
      const no = leaf(lowest);
      const yes = leaf(verdicts[first + 1]!);
      return out.branch(opcodes.ifEqual, starts[first + 1]!, yes, no);
    }
    let middle = (first + end) >>> 1;
    // halves of odd length end in such a triple more often
    if (end - first > 3 && (middle - first) % 2 === 0) middle++;
    const upper = search(middle, end);
    const lower = search(first, middle);
    return out.branch(opcodes.ifGreaterOrEqual, starts[middle]!, upper, lower);
  }

  return search(0, starts.length);
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

/** The architectures of a filter: the machine's own first, then those that the policy names. */
function architecturesOf(policy: LinuxSeccomp, native: SeccompArch): ReadonlySet<SeccompArch> {
  const archs = new Set<SeccompArch>([native]);
  for (const arch of policy.architectures ?? []) {
    if (seccompArchitectures[arch] === undefined)
      throw invalidPolicy(`unknown architecture ${JSON.stringify(arch)}`, { architecture: arch });
    // no kernel that we run on has programs of the others, so that no call would ever come to their part
    if (filterableArchitectures.includes(arch)) archs.add(arch);
  }
  return archs;
}

/** The names of `policy` that none of its architectures has; a filter skips them. */
export function unknownSeccompNames(policy: LinuxSeccomp, native: SeccompArch): readonly string[] {
  const known = new Set([...architecturesOf(policy, native)].flatMap((arch) => syscallTable(arch).names));
  return [...new Set((policy.syscalls ?? []).flatMap((call) => call.names))].filter(
    (name) => !known.has(name),
  );
}

/** Compiles `policy` for a machine of architecture `options.native`. */
export function compileSeccomp(policy: LinuxSeccomp, options: SeccompOptions): SeccompFilter {
  const listener = checkNotify(policy);
  const archs = architecturesOf(policy, options.native);
  const verdicts = new PolicyVerdicts(policy);
  const byDefault = verdicts.defaultValue;
  const lets =
    byDefault === seccompReturn.allow || byDefault === seccompReturn.log || byDefault >>> 16 === 0x7ff0;
  const enosysForNewer = (options.enosysForNewer ?? true) && !lets && byDefault !== enosys;

  const out = new BackwardAssembler();
  let dispatch = out.return(seccompReturn.killThread);
  const sections = new Map<number, Label>();
  const auditArchs = [...new Set([...archs].map((arch) => seccompArchitectures[arch].auditArch))].reverse();
  for (const auditArch of auditArchs) {
    const intervals = new Intervals();
    const add = (arch: SeccompArch, first: number, end: number) =>
      addArch(intervals, arch, first, end, verdicts, enosysForNewer);
    if (auditArch === seccompArchitectures.SCMP_ARCH_X86_64.auditArch) {
      if (archs.has("SCMP_ARCH_X86_64")) add("SCMP_ARCH_X86_64", 0, x32SyscallBit);
      else intervals.from(0, seccompReturn.killThread);
      if (archs.has("SCMP_ARCH_X32")) add("SCMP_ARCH_X32", x32SyscallBit, 2 ** 32);
      else {
        intervals.from(x32SyscallBit, seccompReturn.killThread);
        // a tracer that skips a call sets its number to -1, which must not kill (seccomp(2))
        intervals.from(0xffffffff, byDefault);
      }
    } else {
      for (const arch of archs) if (seccompArchitectures[arch].auditArch === auditArch) add(arch, 0, 2 ** 32);
    }
    out.goto(writeSearch(out, intervals, byDefault));
    sections.set(auditArch, out.load(dataNumber));
  }
  for (const auditArch of auditArchs)
    dispatch = out.branch(opcodes.ifEqual, auditArch, sections.get(auditArch)!, dispatch);
  out.load(dataArch);

  const program = out.finish();
  return { program, instructions: program.length / 8, flags: filterFlags(policy, listener), listener };
}
