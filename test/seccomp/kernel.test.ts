/** The compiled programs before the real judge: the kernel loads them and acts as they say. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { capabilityNames, dockerDefaultCapabilities } from "../../src/linux/capabilities.ts";
import { compileDeviceFilter } from "../../src/linux/device-filter.ts";
import { dockerDeviceRules, runtimeDeviceRules } from "../../src/linux/devices.ts";
import { compileSeccomp } from "../../src/linux/seccomp/compile.ts";
import { dockerSeccompPolicy } from "../../src/linux/seccomp/docker-profile.ts";

const noCompiler = spawnSync("cc", ["--version"]).error ? "no C compiler" : false;
const notX86 = arch() === "x64" ? false : "the expectations are for x86-64";
const [EPERM, ENOSYS] = [1, 38];

class Loader implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "gantry-load-"));
  readonly #program = join(this.directory, "load");

  constructor() {
    const source = fileURLToPath(new URL("load.c", import.meta.url));
    execFileSync("cc", ["-O1", "-Wall", "-Wextra", "-Werror", source, "-o", this.#program]);
  }

  run(program: Uint8Array, ...args: readonly string[]): string {
    const file = join(this.directory, "program");
    writeFileSync(file, program);
    return execFileSync(this.#program, [...args, file], { encoding: "utf8" });
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

function filter(capabilities: readonly string[]) {
  const policy = dockerSeccompPolicy({ capabilities, architecture: "SCMP_ARCH_X86_64", kernel: "6.1" });
  return compileSeccomp(policy, { native: "SCMP_ARCH_X86_64" });
}

function results(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .trim()
      .split("\n")
      .map(
        (line) =>
          [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))] as const,
      ),
  );
}

test("the kernel loads Docker's policy and refuses what it forbids", { skip: noCompiler || notX86 }, (t) => {
  using loader = new Loader();
  const { program, flags } = filter(dockerDefaultCapabilities);
  const found = results(loader.run(program, "seccomp", String(flags)));
  const expected: Readonly<Record<string, number>> = {
    load: 0,
    getpid: 0,
    "socket inet": 0,
    "socket alg": EPERM,
    "socket vsock": EPERM,
    "personality query": 0,
    "personality svr4": EPERM,
    unshare: EPERM,
    "clone newuser": EPERM,
    clone3: ENOSYS,
    keyctl: EPERM,
    "call 600": ENOSYS,
    "i386 getpid": 0,
    "i386 unshare": EPERM,
    "i386 call 600": ENOSYS,
  };
  for (const [name, errno] of Object.entries(expected)) assert.equal(found.get(name), errno, name);
  t.diagnostic(`loaded in ${found.get("microseconds")} us`);
});

test("the kernel loads the policy of a container with all capabilities", {
  skip: noCompiler || notX86,
}, () => {
  using loader = new Loader();
  const { program, flags } = filter(capabilityNames);
  const found = results(loader.run(program, "seccomp", String(flags)));
  assert.equal(found.get("load"), 0);
  assert.equal(found.get("unshare"), 0);
  assert.equal(found.get("keyctl"), EPERM);
});

test("the kernel's verifier accepts device filters", {
  skip: noCompiler || (process.getuid?.() === 0 ? false : "needs root"),
}, (t) => {
  using loader = new Loader();
  const cases = {
    docker: [...dockerDeviceRules, ...runtimeDeviceRules],
    nothing: [],
    everything: [{ allow: true }],
    "everything but one": [{ allow: true }, { allow: false, type: "b", major: 8, minor: 0, access: "w" }],
    "rules before a final word": [
      { allow: true, type: "c", major: 1 },
      { allow: false, access: "rwm" },
    ],
  };
  for (const [label, rules] of Object.entries(cases)) {
    const answer = loader.run(compileDeviceFilter(rules), "device");
    if (answer.startsWith("errno 1\n")) return t.skip("bpf(2) is not permitted here");
    assert.equal(answer, "ok\n", label);
  }
});
