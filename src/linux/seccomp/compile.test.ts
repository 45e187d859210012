import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../../base/error.ts";
import { dockerDefaultCapabilities } from "../capabilities.ts";
import {
  filterableArchitectures,
  nativeSeccompArch,
  seccompArchitectures,
  syscallNumbers,
} from "./architectures.ts";
import { BackwardAssembler, opcodes } from "./assembler.ts";
import { seccompCacheKey } from "./cache-key.ts";
import { compileSeccomp, unknownSeccompNames } from "./compile.ts";
import { dockerSeccompPolicy } from "./docker-profile.ts";
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall, SeccompArch } from "./policy.ts";
import { runSeccompFilter, seccompData, simulateSeccomp } from "./simulate.ts";

const native = "SCMP_ARCH_X86_64";
const ALLOW = 0x7fff0000;
const errno = (number: number) => 0x50000 | number;

/** The verdict on a call of `arch` by name. */
function verdict(
  policy: LinuxSeccomp,
  name: string,
  args: readonly (number | bigint)[] = [],
  arch: SeccompArch = native,
) {
  const { program } = compileSeccomp(policy, { native });
  const number = syscallNumbers(arch).get(name)!;
  return simulateSeccomp(program, {
    number,
    auditArch: seccompArchitectures[arch].auditArch,
    args: args.map(BigInt),
  }).action;
}

const allowOnly = (...syscalls: readonly LinuxSyscall[]): LinuxSeccomp => ({
  defaultAction: "SCMP_ACT_ERRNO",
  syscalls,
});
const allow = (name: string, ...args: readonly LinuxSeccompArg[]): LinuxSyscall => ({
  names: [name],
  action: "SCMP_ACT_ALLOW",
  args,
});

function refuses(
  code: "invalid-argument" | "unimplemented" | "resource-exhausted",
  reason: RegExp,
  policy: LinuxSeccomp,
) {
  assert.throws(
    () => compileSeccomp(policy, { native }),
    (error) => isGantryError(error, code) && reason.test(error.message),
  );
}

test("each action has the kernel's return value", () => {
  const of = (action: LinuxSyscall["action"], errnoRet?: number) =>
    verdict({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["read"], action, errnoRet }] }, "read");
  assert.equal(of("SCMP_ACT_KILL"), 0);
  assert.equal(of("SCMP_ACT_KILL_THREAD"), 0);
  assert.equal(of("SCMP_ACT_KILL_PROCESS"), 0x80000000);
  assert.equal(of("SCMP_ACT_TRAP"), 0x30000);
  assert.equal(of("SCMP_ACT_ERRNO"), errno(1));
  assert.equal(of("SCMP_ACT_ERRNO", 38), errno(38));
  assert.equal(of("SCMP_ACT_TRACE", 5), 0x7ff00005);
  assert.equal(of("SCMP_ACT_LOG"), 0x7ffc0000);
  assert.equal(of("SCMP_ACT_NOTIFY"), 0x7fc00000);
});

test("each operator compares all 64 bits", () => {
  const big = 0x1_0000_0005n;
  const cases: readonly [LinuxSeccompArg["op"], readonly bigint[], readonly bigint[]][] = [
    ["SCMP_CMP_EQ", [big], [5n, big + 1n]],
    ["SCMP_CMP_NE", [5n, 0x2_0000_0005n], [big]],
    ["SCMP_CMP_LT", [0n, 0xffff_ffffn, big - 1n], [big, 0x2_0000_0000n]],
    ["SCMP_CMP_LE", [0xffff_ffffn, big], [big + 1n, 0x2_0000_0000n]],
    ["SCMP_CMP_GT", [big + 1n, 0x2_0000_0000n], [big, 0xffff_ffffn]],
    ["SCMP_CMP_GE", [big, 0x2_0000_0000n], [big - 1n, 0xffff_ffffn]],
  ];
  for (const [op, yes, no] of cases) {
    const policy = allowOnly(allow("ioctl", { index: 1, value: big, op }));
    for (const value of yes) assert.equal(verdict(policy, "ioctl", [0, value]), ALLOW, `${op} ${value}`);
    for (const value of no) assert.equal(verdict(policy, "ioctl", [0, value]), errno(1), `${op} ${value}`);
  }
});

test("a masked comparison looks at the masked bits on both sides", () => {
  const policy = allowOnly(
    allow("ioctl", {
      index: 0,
      value: 0xff00_0000_0000_00ffn,
      valueTwo: 0x1200_ffff_ffff_ff34n,
      op: "SCMP_CMP_MASKED_EQ",
    }),
  );
  assert.equal(verdict(policy, "ioctl", [0x12ab_0000_0000_cd34n]), ALLOW);
  assert.equal(verdict(policy, "ioctl", [0x13ab_0000_0000_cd34n]), errno(1));
  assert.equal(verdict(policy, "ioctl", [0x12ab_0000_0000_cd35n]), errno(1));
});

test("conditions of one rule must all hold, unless they are on one argument", () => {
  const both = allowOnly(
    allow("socket", { index: 0, value: 2, op: "SCMP_CMP_EQ" }, { index: 1, value: 1, op: "SCMP_CMP_EQ" }),
  );
  assert.equal(verdict(both, "socket", [2, 1]), ALLOW);
  assert.equal(verdict(both, "socket", [2, 2]), errno(1));
  const either = allowOnly(
    allow("socket", { index: 0, value: 2, op: "SCMP_CMP_EQ" }, { index: 0, value: 10, op: "SCMP_CMP_EQ" }),
  );
  assert.equal(verdict(either, "socket", [10]), ALLOW);
  assert.equal(verdict(either, "socket", [3]), errno(1));
});

test("a rule without conditions beats those with conditions, whatever the order", () => {
  const conditional: LinuxSyscall = {
    names: ["ioctl"],
    action: "SCMP_ACT_KILL",
    args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }],
  };
  for (const policy of [allowOnly(conditional, allow("ioctl")), allowOnly(allow("ioctl"), conditional)])
    assert.equal(verdict(policy, "ioctl", [1]), ALLOW);
});

test("on i386 a rule for socket also holds for socketcall", () => {
  const policy: LinuxSeccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86"],
    syscalls: [{ names: ["socket", "semop"], action: "SCMP_ACT_ERRNO" }],
  };
  assert.equal(verdict(policy, "socketcall", [1], "SCMP_ARCH_X86"), errno(1));
  assert.equal(verdict(policy, "socketcall", [3], "SCMP_ARCH_X86"), ALLOW);
  assert.equal(verdict(policy, "ipc", [1], "SCMP_ARCH_X86"), errno(1));
  assert.equal(verdict(policy, "socket", [], "SCMP_ARCH_X86"), errno(1));
});

test("calls of architectures that the policy does not name kill, and so do x32 calls", () => {
  const { program } = compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW" }, { native });
  const auditArch = seccompArchitectures[native].auditArch;
  const action = (number: number, arch: number) =>
    simulateSeccomp(program, { number, auditArch: arch }).action;
  assert.equal(action(0, auditArch), ALLOW);
  assert.equal(action(0, seccompArchitectures.SCMP_ARCH_X86.auditArch), 0);
  assert.equal(action(0x40000000, auditArch), 0);
  assert.equal(action(0xffffffff, auditArch), ALLOW, "a call that a tracer skips");
});

test("calls younger than the policy get ENOSYS unless the default lets them run", () => {
  const call = (policy: LinuxSeccomp, number: number, enosysForNewer?: boolean) => {
    const { program } = compileSeccomp(policy, { native, enosysForNewer: enosysForNewer ?? true });
    return simulateSeccomp(program, { number, auditArch: seccompArchitectures[native].auditArch }).action;
  };
  const policy = allowOnly(allow("openat2")); // 437
  assert.equal(call(policy, 436), errno(1));
  assert.equal(call(policy, 438), errno(38));
  assert.equal(call(policy, 438, false), errno(1));
  for (const defaultAction of ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"] as const) {
    const open: LinuxSeccomp = { defaultAction, syscalls: [{ names: ["openat2"], action: "SCMP_ACT_KILL" }] };
    assert.notEqual(call(open, 438), errno(38), defaultAction);
  }
  // a redundant rule still says how old the policy is
  const redundant = allowOnly({ names: ["openat2"], action: "SCMP_ACT_ERRNO" }, allow("read"));
  assert.equal(call(redundant, 437), errno(1));
  assert.equal(call(redundant, 438), errno(38));
});

test("flags: SPEC_ALLOW by default, none for an empty list, NEW_LISTENER for notification", () => {
  const flags = (policy: Partial<LinuxSeccomp>) =>
    compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", ...policy }, { native }).flags;
  assert.equal(flags({}), 4);
  assert.equal(flags({ flags: [] }), 0);
  assert.equal(flags({ flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"] }), 2);
  const syscalls: LinuxSyscall[] = [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }];
  assert.equal(flags({ flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], syscalls }), 0x28);
  assert.ok(compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", syscalls }, { native }).listener);
});

test("what cannot be meant is refused with the reason", () => {
  const base = { defaultAction: "SCMP_ACT_ALLOW" } as const;
  const rule = (arg: Partial<LinuxSeccompArg>): LinuxSeccomp => ({
    ...base,
    syscalls: [
      {
        names: ["read"],
        action: "SCMP_ACT_ERRNO",
        args: [{ index: 0, value: 0, op: "SCMP_CMP_EQ", ...arg }],
      },
    ],
  });
  refuses("invalid-argument", /index 6/, rule({ index: 6 }));
  refuses("invalid-argument", /value -1/, rule({ value: -1 }));
  refuses("invalid-argument", /uint64/, rule({ value: 1n << 64n }));
  refuses("invalid-argument", /operator/, rule({ op: "SCMP_CMP_XX" as "SCMP_CMP_EQ" }));
  refuses("invalid-argument", /action/, { defaultAction: "SCMP_ACT_NONE" as "SCMP_ACT_KILL" });
  refuses("invalid-argument", /errnoRet is not possible/, {
    defaultAction: "SCMP_ACT_KILL",
    defaultErrnoRet: 1,
  });
  refuses("invalid-argument", /out of range/, { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 70000 });
  refuses("invalid-argument", /default action/, { defaultAction: "SCMP_ACT_NOTIFY" });
  refuses("invalid-argument", /write/, {
    ...base,
    syscalls: [{ names: ["write"], action: "SCMP_ACT_NOTIFY" }],
  });
  refuses("invalid-argument", /flag/, { ...base, flags: ["X" as "SECCOMP_FILTER_FLAG_LOG"] });
  refuses("invalid-argument", /needs an action/, {
    ...base,
    flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
  });
  refuses("invalid-argument", /unknown architecture/, {
    ...base,
    architectures: ["SCMP_ARCH_VAX" as SeccompArch],
  });
});

test("all 23 architectures may be named; one whose programs cannot run here adds nothing to the filter", () => {
  const names = Object.keys(seccompArchitectures) as SeccompArch[];
  assert.equal(names.length, 23);
  const policy = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["read"], action: "SCMP_ACT_KILL" }],
  } as const;
  const size = (...architectures: SeccompArch[]) =>
    compileSeccomp({ ...policy, architectures }, { native }).instructions;
  for (const name of names.filter((one) => !filterableArchitectures.includes(one)))
    assert.equal(size(name), size(), name);
  assert.ok(size("SCMP_ARCH_X86", "SCMP_ARCH_X32") > size());
  assert.equal(nativeSeccompArch("x64"), "SCMP_ARCH_X86_64");
  assert.equal(nativeSeccompArch("arm64"), "SCMP_ARCH_AARCH64");
  assert.equal(nativeSeccompArch("mips"), undefined);
});

test("names that no architecture has are skipped and can be asked for", () => {
  const policy = allowOnly(allow("read"), allow("no_such_call"), allow("mmap2"));
  assert.deepEqual(unknownSeccompNames(policy, native), ["no_such_call", "mmap2"]);
  assert.deepEqual(unknownSeccompNames({ ...policy, architectures: ["SCMP_ARCH_X86"] }, native), [
    "no_such_call",
  ]);
  assert.equal(verdict(policy, "read"), ALLOW);
});

test("policies beyond the kernel's limit are refused, long ones below it work", () => {
  const names = [...syscallNumbers(native).keys()];
  const many = (count: number): LinuxSeccomp =>
    allowOnly(
      ...names
        .slice(0, count)
        .map((name, i) => allow(name, { index: 0, value: 0x1_0000_0000n + BigInt(i), op: "SCMP_CMP_EQ" })),
    );
  const { program, instructions } = compileSeccomp(many(300), { native });
  assert.ok(instructions > 1000 && instructions < 4096);
  const data = (number: number, value: bigint) =>
    seccompData({ number, auditArch: seccompArchitectures[native].auditArch, args: [value] });
  for (let i = 0; i < 300; i++) {
    const number = syscallNumbers(native).get(names[i]!)!;
    assert.equal(
      runSeccompFilter(program, data(number, 0x1_0000_0000n + BigInt(i))).action,
      ALLOW,
      names[i]!,
    );
    assert.equal(
      runSeccompFilter(program, data(number, 0x1_0000_0001n + BigInt(i))).action,
      errno(1),
      names[i]!,
    );
  }
  const ranges = [0, 1, 2, 3, 4, 5].map((index) => ({ index, value: 1n << 40n, op: "SCMP_CMP_GT" }) as const);
  refuses(
    "resource-exhausted",
    /the kernel takes 4096/,
    allowOnly(
      ...names.map((name, i) => allow(name, ...ranges, { index: i % 6, value: i, op: "SCMP_CMP_NE" })),
    ),
  );
});

test("jumps farther than a byte reaches are made by detours", () => {
  const out = new BackwardAssembler();
  const far = out.return(7);
  let next = out.return(1);
  for (let i = 0; i < 400; i++) next = out.branch(opcodes.ifEqual, 1000 + i, out.load(0), next);
  out.branch(opcodes.ifEqual, 5, far, next);
  out.load(0);
  const program = out.finish();
  assert.equal(simulateSeccomp(program, { number: 5, auditArch: 0 }).action, 7);
  assert.equal(simulateSeccomp(program, { number: 6, auditArch: 0 }).action, 1);
});

test("Docker's policy follows capabilities, architecture and kernel", () => {
  const policy = (capabilities: readonly string[], kernel = "6.1.0-18-amd64") =>
    dockerSeccompPolicy({ capabilities, architecture: native, kernel });
  assert.equal(verdict(policy([]), "mount"), errno(1));
  assert.equal(verdict(policy(["CAP_SYS_ADMIN"]), "mount"), ALLOW);
  assert.equal(verdict(policy([]), "clone3"), errno(38));
  assert.equal(verdict(policy(["CAP_SYS_ADMIN"]), "clone3"), ALLOW);
  assert.equal(verdict(policy([]), "clone", [0x11]), ALLOW);
  assert.equal(verdict(policy([]), "clone", [0x10000011]), errno(1));
  assert.equal(verdict(policy(["CAP_SYS_ADMIN"]), "clone", [0x10000011]), ALLOW);
  for (const [family, expected] of [
    [2, ALLOW],
    [38, errno(1)],
    [39, ALLOW],
    [40, errno(1)],
    [41, ALLOW],
  ] as const)
    assert.equal(verdict(policy([]), "socket", [family]), expected, `family ${family}`);
  assert.equal(verdict(policy([]), "personality", [0x20008]), ALLOW);
  assert.equal(verdict(policy([]), "personality", [0x40000]), errno(1));
  assert.equal(verdict(policy([]), "ptrace"), ALLOW);
  assert.equal(verdict(policy([], "4.4.0"), "ptrace"), errno(1));
  assert.equal(verdict(policy(["CAP_SYS_PTRACE"], "4.4.0"), "ptrace"), ALLOW);
  for (const blocked of ["io_uring_setup", "keyctl", "userfaultfd", "kexec_load", "unshare", "bpf"])
    assert.equal(verdict(policy(dockerDefaultCapabilities), blocked), errno(1), blocked);
});

test("policies that compile differently have different keys", () => {
  const policy = (capabilities: readonly string[]) =>
    dockerSeccompPolicy({ capabilities, architecture: native, kernel: [6, 1] });
  const keyOf = (one: LinuxSeccomp) => seccompCacheKey(one, "x64");
  assert.equal(keyOf(policy([])), keyOf(policy([])));
  assert.notEqual(keyOf(policy([])), keyOf(policy(["CAP_SYS_ADMIN"])));
  assert.notEqual(keyOf(policy([])), seccompCacheKey(policy([]), "arm64"));
  assert.notEqual(keyOf(policy([])), keyOf({ ...policy([]), flags: ["SECCOMP_FILTER_FLAG_LOG"] }));
  const arg = (value: number | bigint) => allowOnly(allow("read", { index: 0, value, op: "SCMP_CMP_EQ" }));
  assert.notEqual(keyOf(arg(1n << 60n)), keyOf(arg(2n)));
});
