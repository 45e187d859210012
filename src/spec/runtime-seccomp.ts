/** `linux.seccomp` of a runtime config (runtime-spec 1.3, config-linux.md "Seccomp"). */
import { array, type Decoded, integer, object, oneOf, optional, refuse, string } from "../base/decode.ts";
import { uint64 } from "./runtime-integers.ts";

export const seccompArchitectures = [
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_ARM",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_LOONGARCH64",
  "SCMP_ARCH_M68K",
  "SCMP_ARCH_MIPS",
  "SCMP_ARCH_MIPS64",
  "SCMP_ARCH_MIPS64N32",
  "SCMP_ARCH_MIPSEL",
  "SCMP_ARCH_MIPSEL64",
  "SCMP_ARCH_MIPSEL64N32",
  "SCMP_ARCH_PPC",
  "SCMP_ARCH_PPC64",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_S390",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_SH",
  "SCMP_ARCH_SHEB",
  "SCMP_ARCH_PARISC",
  "SCMP_ARCH_PARISC64",
  "SCMP_ARCH_RISCV64",
] as const;

export const seccompActions = [
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
] as const;

export const seccompOperators = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const;

export const seccompFlags = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
] as const;

export const seccompArchitecture = oneOf(...seccompArchitectures);
const action = oneOf(...seccompActions);
/** The kernel keeps 12 bits of the errno of a filter's answer, and of the datum of a trace. */
const errnoRet = integer(0, 0xffff);

const argument = object({
  index: integer(0, 5),
  value: uint64,
  valueTwo: optional(uint64),
  op: oneOf(...seccompOperators),
});

const syscallNames = (value: unknown, pointer: string) => {
  const names = array(string, 2000)(value, pointer);
  if (names.length === 0) refuse(pointer, "needs at least one name");
  return names;
};

export const linuxSeccomp = object({
  defaultAction: action,
  defaultErrnoRet: optional(errnoRet),
  architectures: optional(array(seccompArchitecture, 100)),
  flags: optional(array(oneOf(...seccompFlags), 100)),
  listenerPath: optional(string),
  listenerMetadata: optional(string),
  syscalls: optional(
    array(
      object({
        names: syscallNames,
        action,
        errnoRet: optional(errnoRet),
        args: optional(array(argument, 100)),
      }),
      10_000,
    ),
  ),
});

export type RuntimeSeccomp = Decoded<typeof linuxSeccomp>;
