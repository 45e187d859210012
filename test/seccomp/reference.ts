/**
 * The other opinion: policies built by libseccomp. Compiles and runs reference.c, which must have a C
 * compiler and libseccomp-dev; `libseccompReason` says why not, where it cannot.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { returnValueOf } from "../../src/linux/seccomp/actions.ts";
import type { LinuxSeccomp, SeccompArch, SeccompOperator } from "../../src/linux/seccomp/policy.ts";

const archNames: Partial<Readonly<Record<SeccompArch, string>>> = {
  SCMP_ARCH_X86_64: "x86_64",
  SCMP_ARCH_X86: "x86",
  SCMP_ARCH_X32: "x32",
  SCMP_ARCH_AARCH64: "aarch64",
  SCMP_ARCH_ARM: "arm",
};

/** enum scmp_compare */
const operators: Readonly<Record<SeccompOperator, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
};

/** A program of libseccomp, or the errno with which it refused. */
export type ReferenceResult = { readonly program: Uint8Array } | { readonly errno: number };

export class Libseccomp implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "gantry-seccomp-"));
  readonly #program: string;

  constructor() {
    this.#program = join(this.#directory, "reference");
    const source = fileURLToPath(new URL("reference.c", import.meta.url));
    execFileSync("cc", ["-O1", "-Wall", "-Wextra", "-Werror", source, "-o", this.#program, "-lseccomp"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  }

  #run(input: string): Buffer {
    const { status, stdout, signal } = spawnSync(this.#program, { input, maxBuffer: 1 << 30 });
    if (status !== 0) throw new Error(`reference program ended with ${status ?? signal}`);
    return stdout;
  }

  /** The names that libseccomp knows. */
  known(names: readonly string[]): readonly string[] {
    const answer = this.#run(names.map((name) => `resolve ${name}\n`).join(""));
    return names.filter((_, i) => answer[i] === 1);
  }

  /** Builds all policies; each must name its architectures. */
  build(policies: readonly LinuxSeccomp[], optimize: 1 | 2 = 1): readonly ReferenceResult[] {
    const answer = this.#run(policies.map((policy) => describe(policy, optimize)).join(""));
    const results: ReferenceResult[] = [];
    for (let at = 0; at < answer.length; ) {
      const size = answer.readUInt32LE(at);
      if (size === 0xffffffff) {
        results.push({ errno: answer.readUInt32LE(at + 4) });
        at += 8;
      } else {
        results.push({ program: new Uint8Array(answer.subarray(at + 4, at + 4 + size)) });
        at += 4 + size;
      }
    }
    return results;
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}

/** The policy in the line format of reference.c. */
function describe(policy: LinuxSeccomp, optimize: 1 | 2): string {
  const lines = [`policy ${returnValueOf(policy.defaultAction, policy.defaultErrnoRet)} ${optimize}`];
  for (const arch of policy.architectures ?? []) lines.push(`arch ${archNames[arch]}`);
  for (const { names, action, errnoRet, args } of policy.syscalls ?? []) {
    const conditions = (args ?? []).map(
      ({ index, op, value, valueTwo }) => ` ${index} ${operators[op]} ${value} ${valueTwo ?? 0}`,
    );
    for (const name of names)
      lines.push(`rule ${returnValueOf(action, errnoRet)} ${name}${conditions.join("")}`);
  }
  return `${lines.join("\n")}\nend\n`;
}

/** Why libseccomp cannot be asked on this machine; undefined if it can. */
export function libseccompReason(): string | undefined {
  const probe = spawnSync("cc", ["-E", "-"], { input: "#include <seccomp.h>\n" });
  if (probe.error) return "no C compiler";
  return probe.status === 0 ? undefined : "libseccomp-dev is not installed";
}
