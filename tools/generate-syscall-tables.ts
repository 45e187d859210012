/**
 * Writes src/linux/seccomp/syscall-tables.generated.ts: the system call numbers of the five
 * architectures that Gantry can filter.
 *
 * Run: `node tools/generate-syscall-tables.ts` on x86-64 Debian with linux-libc-dev, libseccomp-dev
 * and a C compiler. Three sources, which must not contradict each other:
 * - libseccomp's own tables (seccomp_syscall_resolve_num_arch), complete for every architecture;
 * - the kernel's user headers for x86-64, i386, x32 (asm/unistd_*.h) and the generic table that
 *   arm64 uses (preprocessed asm-generic/unistd.h);
 * - the numbers below, which the kernel gave out after both were packaged. Since Linux 5.1 a new call
 *   has the same number on every architecture (Documentation/process/adding-syscalls.rst).
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const x32Bit = 0x40000000;

/** Calls newer than the packaged headers: include/uapi/asm-generic/unistd.h of Linux 6.8 to 7.0. */
const recent: Readonly<Record<string, number>> = {
  statmount: 457, // 6.8
  listmount: 458,
  lsm_get_self_attr: 459,
  lsm_set_self_attr: 460,
  lsm_list_modules: 461,
  mseal: 462, // 6.10
  setxattrat: 463, // 6.13
  getxattrat: 464,
  listxattrat: 465,
  removexattrat: 466,
  open_tree_attr: 467, // 6.15
  file_getattr: 468, // 6.17
  file_setattr: 469,
  listns: 470, // 6.19
  rseq_slice_yield: 471, // 7.0
};

/** x86-64 only, arch/x86/entry/syscalls/syscall_64.tbl. */
const recentX86_64: Readonly<Record<string, number>> = { uretprobe: 335 /* 6.11 */, uprobe: 336 /* 6.18 */ };

const archs = [
  { name: "x86_64", token: "SCMP_ARCH_X86_64", header: "asm/unistd_64.h", base: 0 },
  { name: "x86", token: "SCMP_ARCH_X86", header: "asm/unistd_32.h", base: 0 },
  { name: "x32", token: "SCMP_ARCH_X32", header: "asm/unistd_x32.h", base: x32Bit },
  { name: "aarch64", token: "SCMP_ARCH_AARCH64", header: "asm-generic/unistd.h", base: 0 },
  { name: "arm", token: "SCMP_ARCH_ARM", header: undefined, base: 0 },
] as const;

type Table = Map<string, number>;

function fromLibseccomp(work: string, token: string, base: number): Table {
  const source = join(work, `${token}.c`);
  const program = join(work, token);
  writeFileSync(
    source,
    `#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
static void show(int number) {
  char *name = seccomp_syscall_resolve_num_arch(${token}, number);
  if (name) printf("%s %d\\n", name, number);
  free(name);
}
int main(void) {
  for (int i = 0; i < 2000; i++) show(${base} + i);
  for (int i = 0; i < 16; i++) show(0xf0000 + i); /* private calls of 32-bit ARM */
  return 0;
}`,
  );
  execFileSync("cc", [source, "-o", program, "-lseccomp"]);
  const table: Table = new Map();
  for (const line of execFileSync(program, { encoding: "utf8" }).trim().split("\n")) {
    const [name, number] = line.split(" ");
    table.set(name!, Number(number));
  }
  return table;
}

/** Preprocesses the header and asks the compiler for the value of each __NR_ macro. */
function fromHeader(work: string, header: string): Table {
  // the generic table as arm64 configures it: arch/arm64/include/uapi/asm/unistd.h
  const options = header.startsWith("asm-generic")
    ? [
        "__ARCH_WANT_RENAMEAT",
        "__ARCH_WANT_NEW_STAT",
        "__ARCH_WANT_SET_GET_RLIMIT",
        "__ARCH_WANT_TIME32_SYSCALLS",
        "__ARCH_WANT_SYS_CLONE3",
        "__ARCH_WANT_MEMFD_SECRET",
      ].map((name) => `#define ${name}\n`)
    : [];
  const source = join(work, "header.c");
  writeFileSync(source, `#define __X32_SYSCALL_BIT ${x32Bit}\n${options.join("")}#include <${header}>\n`);
  const macros = execFileSync("cc", ["-E", "-dM", source], { encoding: "utf8" });
  const names = [...macros.matchAll(/^#define __NR_([a-z_0-9]+) /gm)]
    .map((match) => match[1]!)
    .filter((name) => !["syscalls", "arch_specific_syscall"].includes(name));
  const values = `${readFileSync(source, "utf8")}\n${names.map((name) => `@${name} __NR_${name}`).join("\n")}\n`;
  const expanded = join(work, "values.c");
  writeFileSync(expanded, values);
  const table: Table = new Map();
  for (const line of execFileSync("cc", ["-E", "-P", expanded], { encoding: "utf8" }).split("\n")) {
    const found = /^@(\S+) (.+)$/.exec(line.trim());
    if (!found) continue;
    const sum = found[2]!
      .replace(/[()\s]/g, "")
      .split("+")
      .map(Number);
    const number = sum.reduce((a, b) => a + b, 0);
    if (Number.isInteger(number)) table.set(found[1]!, number);
  }
  return table;
}

/** "0:read write open 424:pidfd_send_signal ...": names in order of number, a mark wherever it jumps. */
function encode(table: Table): string {
  let expected = -1;
  const words: string[] = [];
  for (const [name, number] of [...table].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))) {
    words.push(number === expected ? name : `${number}:${name}`);
    expected = number + 1;
  }
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length > 98) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines
    .map((line, i) => `    ${JSON.stringify(i < lines.length - 1 ? `${line} ` : line)}`)
    .join(" +\n");
}

const work = mkdtempSync(join(tmpdir(), "syscall-tables-"));
try {
  const parts: string[] = [];
  for (const { name, token, header, base } of archs) {
    const table = fromLibseccomp(work, token, base);
    const numbers = new Set(table.values());
    if (header !== undefined)
      for (const [call, number] of fromHeader(work, header)) {
        const known = table.get(call);
        if (known !== undefined && known !== number)
          throw new Error(`${name}: ${call} is ${known} in libseccomp and ${number} in <${header}>`);
        // aliases of a number that libseccomp names otherwise (fstatat for newfstatat) stay out
        if (known === undefined && !numbers.has(number)) table.set(call, number);
      }
    for (const [call, number] of Object.entries({ ...recent, ...(name === "x86_64" ? recentX86_64 : {}) }))
      table.set(call, base + number);
    parts.push(`  ${token}:\n${encode(table)},\n`);
    process.stderr.write(`${name}: ${table.size} calls\n`);
  }
  writeFileSync(
    fileURLToPath(new URL("../src/linux/seccomp/syscall-tables.generated.ts", import.meta.url)),
    `// Written by tools/generate-syscall-tables.ts from libseccomp and the kernel's headers. Do not edit.\n\n` +
      `/** Names in order of their number; "N:name" starts a new run at N. */\n` +
      `export const syscallTables = {\n${parts.join("")}} as const;\n`,
  );
} finally {
  rmSync(work, { recursive: true });
}
