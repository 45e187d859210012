/**
 * The 23 architectures that an OCI config may name: the kernel's AUDIT_ARCH_* value of each
 * (include/uapi/linux/audit.h), its word size for argument comparisons, and the system call numbers
 * of the five that Gantry can filter.
 */
import { GantryError } from "../../base/error.ts";
import type { SeccompArch } from "./policy.ts";
import { syscallTables } from "./syscall-tables.generated.ts";

/** x32 calls are x86-64 calls with this bit in their number (asm/unistd.h __X32_SYSCALL_BIT). */
export const x32SyscallBit = 0x40000000;

const le = 0x40000000;
const is64 = 0x80000000;

/** `auditArch` is what the kernel puts into seccomp_data.arch; x32 shares it with x86-64. */
export interface ArchitectureFacts {
  readonly auditArch: number;
  /** Width of a system call argument as libseccomp compares it. */
  readonly argumentBits: 32 | 64;
}

function facts(machine: number, flags: number, argumentBits: 32 | 64): ArchitectureFacts {
  return { auditArch: (machine | flags) >>> 0, argumentBits };
}

const n32 = 0x20000000;

export const seccompArchitectures: Readonly<Record<SeccompArch, ArchitectureFacts>> = {
  SCMP_ARCH_X86_64: facts(62, le | is64, 64),
  SCMP_ARCH_X86: facts(3, le, 32),
  SCMP_ARCH_X32: facts(62, le | is64, 32),
  SCMP_ARCH_AARCH64: facts(183, le | is64, 64),
  SCMP_ARCH_ARM: facts(40, le, 32),
  SCMP_ARCH_LOONGARCH64: facts(258, le | is64, 64),
  SCMP_ARCH_M68K: facts(4, 0, 32),
  SCMP_ARCH_MIPS: facts(8, 0, 32),
  SCMP_ARCH_MIPS64: facts(8, is64, 64),
  SCMP_ARCH_MIPS64N32: facts(8, is64 | n32, 32),
  SCMP_ARCH_MIPSEL: facts(8, le, 32),
  SCMP_ARCH_MIPSEL64: facts(8, le | is64, 64),
  SCMP_ARCH_MIPSEL64N32: facts(8, le | is64 | n32, 32),
  SCMP_ARCH_PPC: facts(20, 0, 32),
  SCMP_ARCH_PPC64: facts(21, is64, 64),
  SCMP_ARCH_PPC64LE: facts(21, le | is64, 64),
  SCMP_ARCH_S390: facts(22, 0, 32),
  SCMP_ARCH_S390X: facts(22, is64, 64),
  SCMP_ARCH_SH: facts(42, le, 32),
  SCMP_ARCH_SHEB: facts(42, 0, 32),
  SCMP_ARCH_PARISC: facts(15, 0, 32),
  SCMP_ARCH_PARISC64: facts(15, is64, 64),
  SCMP_ARCH_RISCV64: facts(243, le | is64, 64),
};

/** The architectures that have a table, as `features` lists them. */
export const filterableArchitectures = Object.keys(syscallTables) as readonly SeccompArch[];

/** The architecture of a machine as node:os calls it (os.arch()); undefined where there is no table. */
export function nativeSeccompArch(machine: string): SeccompArch | undefined {
  if (machine === "x64" || machine === "x86_64" || machine === "amd64") return "SCMP_ARCH_X86_64";
  if (machine === "arm64" || machine === "aarch64") return "SCMP_ARCH_AARCH64";
  return undefined;
}

/** The system calls of an architecture in ascending order of their numbers. */
export interface SyscallTable {
  readonly names: readonly string[];
  readonly numbers: readonly number[];
}

const tables = new Map<SeccompArch, SyscallTable>();

/** The table of `arch`; fails for an architecture that has none. */
export function syscallTable(arch: SeccompArch): SyscallTable {
  const known = tables.get(arch);
  if (known) return known;
  const text = (syscallTables as Partial<Record<SeccompArch, string>>)[arch];
  if (text === undefined)
    throw new GantryError("unimplemented", `compile seccomp policy: no system call table for ${arch}`, {
      detail: { architecture: arch, supported: filterableArchitectures },
    });
  const names = text.split(" ");
  const numbers: number[] = [];
  let next = 0;
  for (let i = 0; i < names.length; i++) {
    const word = names[i]!;
    if (word.charCodeAt(0) <= 0x39) {
      // a digit: "N:name"
      const colon = word.indexOf(":");
      next = Number(word.slice(0, colon));
      names[i] = word.slice(colon + 1);
    }
    numbers.push(next++);
  }
  const table = { names, numbers };
  tables.set(arch, table);
  return table;
}

/** Name -> number of every system call of `arch`; fails for an architecture that has no table. */
export function syscallNumbers(arch: SeccompArch): ReadonlyMap<string, number> {
  const { names, numbers } = syscallTable(arch);
  return new Map(names.map((name, i) => [name, numbers[i]!]));
}
