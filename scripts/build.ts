/**
 * Makes what is shipped: `dist/gantry-executor` from native/ (and the commands `dist/gantry` and `dist/gantry-oci`,
 * links to the same file), `dist/gantry-program`, which they become, from src/cli/main.ts, and the library with its
 * types in dist/lib from src/index.ts.
 *
 *     bun scripts/build.ts [native] [cli] [lib] [--force]
 *
 * A part whose inputs have not changed since it was last made is left alone. Every output appears by rename, so
 * that a running test never sees half of one.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  globSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { run, top } from "./run.ts";

interface Part {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Where this file is missing, the part does not exist yet. */
  readonly entry: string;
  make(): Promise<void>;
}

const dist = join(top, "dist");
const stage = join(top, "build/stage", String(process.pid));

/**
 * A small libc where there is one: with musl the executor is a ninth of its size with glibc, and every
 * start copies it once into sealed memory. The kernel's own headers lie beside glibc's, so they come last.
 */
function staticCompiler(): readonly string[] {
  const path = (process.env.PATH ?? "").split(":").map((folder) => join(folder, "musl-gcc"));
  if (!path.some((file) => existsSync(file))) return ["cc"];
  const headers = [
    "/usr/include",
    `/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
  ];
  return ["musl-gcc", ...headers.flatMap((folder) => ["-idirafter", folder])];
}

const parts: Readonly<Record<string, Part>> = {
  native: {
    entry: "native",
    inputs: ["native/*.c", "native/*.h", "native/gen/*"],
    outputs: ["dist/gantry-executor", "dist/gantry", "dist/gantry-oci"],
    async make() {
      const sources = globSync("native/*.c", { cwd: top }).sort();
      const flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Os", "-static", "-Wall", "-Wextra", "-Werror"];
      const small = ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s"];
      const out = join(stage, "gantry-executor");
      await must([...staticCompiler(), ...flags, ...small, "-Inative", "-o", out, ...sources]);
      // the commands are the same file under other names: native/entry.c
      for (const name of ["gantry", "gantry-oci"]) {
        linkSync(out, join(stage, name));
        renameSync(join(stage, name), join(dist, name));
      }
      renameSync(out, join(dist, "gantry-executor"));
    },
  },
  cli: {
    entry: "src/cli/main.ts",
    inputs: ["src/**/*.ts", "src/**/*.json", "package-lock.json"],
    outputs: ["dist/gantry-program"],
    async make() {
      const out = join(stage, "gantry-program");
      const bun = join(top, "node_modules/.bin/bun");
      const flags = ["--compile", "--minify", "--bytecode", "--splitting", "--format=esm", "--target=bun"];
      // whoever calls it may stand in somebody else's folder: nothing that lies there is code or settings of its own
      for (const kind of ["dotenv", "bunfig", "tsconfig", "package-json"])
        flags.push(`--no-compile-autoload-${kind}`);
      // Bun writes its half-made executable into the current folder.
      await must([bun, "build", ...flags, join(top, "src/cli/main.ts"), "--outfile", out], stage);
      renameSync(out, join(dist, "gantry-program"));
    },
  },
  lib: {
    entry: "src/index.ts",
    inputs: ["src/**/*.ts", "tsconfig.json", "scripts/tsconfig.lib.json", "package-lock.json"],
    outputs: ["dist/lib/index.js", "dist/lib/index.d.ts"],
    async make() {
      const out = join(stage, "lib");
      await must(["node_modules/.bin/tsc", "-p", "scripts/tsconfig.lib.json", "--outDir", out]);
      const old = join(stage, "old-lib");
      if (existsSync(join(dist, "lib"))) renameSync(join(dist, "lib"), old);
      renameSync(out, join(dist, "lib"));
    },
  },
};

const args = process.argv.slice(2);
const force = args.includes("--force");
const chosen = args.filter((arg) => !arg.startsWith("-"));
for (const name of chosen) {
  if (!parts[name]) throw new Error(`build: no part "${name}": one of ${Object.keys(parts).join(", ")}`);
}

mkdirSync(dist, { recursive: true });
mkdirSync(stage, { recursive: true });
try {
  for (const [name, part] of Object.entries(parts)) {
    if (chosen.length === 0 || chosen.includes(name)) await build(name, part);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(stage, { recursive: true, force: true });
}

async function build(name: string, part: Part): Promise<void> {
  if (!existsSync(join(top, part.entry))) throw new Error(`build ${name}: ${part.entry} is not there`);
  const stamp = join(top, "build/stamps", name);
  const digest = digestOf(part.inputs);
  const made = part.outputs.every((path) => existsSync(join(top, path)));
  if (!force && made && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  const started = performance.now();
  await part.make();
  mkdirSync(join(top, "build/stamps"), { recursive: true });
  writeFileSync(stamp, digest);
  console.log(`built ${part.outputs[0]} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** Digest of the names and contents of all inputs, of this script, and of the compiler's name. */
function digestOf(patterns: readonly string[]): string {
  const hash = createHash("sha256").update(staticCompiler()[0]!);
  const files = patterns
    .flatMap((pattern) => globSync(pattern, { cwd: top }))
    .filter((path) => !isTest(path));
  for (const path of [...new Set(files), "scripts/build.ts"].sort()) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(top, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

async function must(command: readonly string[], cwd = top): Promise<void> {
  const done = await run(command, { cwd });
  if (done.code !== 0) throw new Error(`build: ${command.join(" ")}\n${done.output}`);
}
