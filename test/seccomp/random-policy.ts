/** fast-check generators of policies: everything that linux.seccomp can say about five architectures. */
import fc from "fast-check";
import type {
  LinuxSeccomp,
  LinuxSeccompArg,
  LinuxSyscall,
  SeccompArch,
} from "../../src/linux/seccomp/policy.ts";

/** Plain calls, calls with two ways on i386, calls of some architectures only, calls with high numbers. */
export const callPool = [
  "read",
  "write",
  "open",
  "openat",
  "mmap",
  "mmap2",
  "ioctl",
  "clone",
  "kill",
  "exit_group",
  "futex",
  "prctl",
  "personality",
  "execveat",
  "preadv2",
  "socket",
  "connect",
  "accept",
  "accept4",
  "send",
  "recvmmsg",
  "sendmmsg",
  "socketcall",
  "semget",
  "semop",
  "semtimedop",
  "shmat",
  "ipc",
  "clock_gettime64",
  "cacheflush",
  "arch_prctl",
  "clone3",
  "openat2",
  "futex_waitv",
];

const interesting = [
  0n,
  1n,
  2n,
  3n,
  16n,
  40n,
  0x7fffffffn,
  0xffffffffn,
  0x100000000n,
  0x100000001n,
  (1n << 63n) - 1n,
];

const value = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...interesting) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }) },
);

const arg: fc.Arbitrary<LinuxSeccompArg> = fc.record({
  index: fc.nat(5),
  value,
  valueTwo: value,
  op: fc.constantFrom(
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
  ),
});

type Verdict = Pick<LinuxSyscall, "action" | "errnoRet">;

const verdict = fc.constantFrom<Verdict>(
  { action: "SCMP_ACT_ALLOW" },
  { action: "SCMP_ACT_ERRNO" },
  { action: "SCMP_ACT_ERRNO", errnoRet: 38 },
  { action: "SCMP_ACT_KILL" },
  { action: "SCMP_ACT_KILL_PROCESS" },
  { action: "SCMP_ACT_KILL_THREAD" },
  { action: "SCMP_ACT_TRAP" },
  { action: "SCMP_ACT_TRACE", errnoRet: 7 },
  { action: "SCMP_ACT_LOG" },
);

const archs: readonly SeccompArch[] = [
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_ARM",
];

function call(
  names: readonly string[],
  { action, errnoRet }: Verdict,
  args: readonly LinuxSeccompArg[],
): LinuxSyscall {
  return {
    names,
    action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(args.length === 0 ? {} : { args }),
  };
}

function policy(
  architectures: readonly SeccompArch[],
  { action, errnoRet }: Verdict,
  syscalls: readonly LinuxSyscall[],
): LinuxSeccomp {
  return {
    defaultAction: action,
    ...(errnoRet === undefined ? {} : { defaultErrnoRet: errnoRet }),
    architectures,
    syscalls,
  };
}

const someArchs = fc.uniqueArray(fc.constantFrom(...archs), { minLength: 1, maxLength: 5 });

/** Everything that linux.seccomp can say, sense or nonsense. */
export const anyPolicy: fc.Arbitrary<LinuxSeccomp> = fc
  .tuple(
    someArchs,
    verdict,
    fc.array(
      fc
        .tuple(
          fc.uniqueArray(fc.constantFrom(...callPool), { minLength: 1, maxLength: 4 }),
          verdict,
          fc.array(arg, { maxLength: 3 }),
        )
        .map(([names, action, args]) => call(names, action, args)),
      { maxLength: 24 },
    ),
  )
  .map(([architectures, byDefault, syscalls]) => policy(architectures, byDefault, syscalls));

/** One call with what libseccomp compiles faithfully; see soundPolicy. */
const soundRules = (name: string, conflicts: boolean): fc.Arbitrary<readonly LinuxSyscall[]> =>
  fc.oneof(
    verdict.map((action) => [call([name], action, [])]),
    fc
      .tuple(verdict, fc.uniqueArray(arg, { selector: ({ index }) => index, minLength: 1, maxLength: 4 }))
      .map(([action, args]) => [call([name], action, args)]),
    fc
      .tuple(
        fc.nat(5),
        verdict,
        fc.array(fc.tuple(verdict, arg, fc.nat(0xffff), fc.nat(0xffff)), { minLength: 2, maxLength: 5 }),
      )
      .map(([index, common, rules]) =>
        rules.map(([own, { op }, value, valueTwo]) =>
          call([name], conflicts ? own : common, [{ index, op, value, valueTwo }]),
        ),
      ),
  );

/**
 * Policies within what libseccomp 2.5.4 gets right. Outside are: several rules for one call that look
 * at different arguments, or at values that differ in their upper half (a failed comparison then goes
 * on with the wrong word loaded, or skips the other rules); and calls that an architecture of the filter
 * does not have (a load of the call's number can get lost). anyPolicy covers these against a model.
 *
 * With `conflicts`, overlapping rules of one call have different actions; libseccomp then only keeps its
 * own precedence for arguments below 2^32.
 */
export const soundPolicy = (
  has: (arch: SeccompArch, name: string) => boolean,
  conflicts: boolean,
): fc.Arbitrary<LinuxSeccomp> =>
  someArchs.chain((architectures) => {
    const names = callPool.filter((name) => architectures.every((arch) => has(arch, name)));
    return fc
      .tuple(
        verdict,
        fc
          .uniqueArray(fc.constantFrom(...names), { maxLength: 16 })
          .chain((chosen) => fc.tuple(...chosen.map((name) => soundRules(name, conflicts)))),
      )
      .map(([byDefault, rules]) => policy(architectures, byDefault, rules.flat()));
  });
