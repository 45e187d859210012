/**
 * A place for one test: folders of its own for Gantry's state, the command line bound to them, and at the end
 * the question what was left behind.
 *
 *     test("run prints", { skip: needs("root") }, () =>
 *       withSandbox(async (box) => {
 *         const { stdout } = await box.gantry(["run", "--rm", "busybox", "echo", "hi"]);
 *         …
 *       }));
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../../src/base/remove-tree.ts";
import { type CommandOptions, command, must, type Outcome } from "./command.ts";
import { type Leftover, leftovers, snapshot, sweep } from "./leftovers.ts";

/** The top of the checkout. */
export const top = join(import.meta.dirname, "../..");
export const gantryProgram = process.env.GANTRY_BIN ?? join(top, "dist/gantry");
export const gantryOciProgram = process.env.GANTRY_OCI_BIN ?? join(top, "dist/gantry-oci");

export interface Sandbox {
  /** Everything below it is removed at the end; a good place for the test's own files. */
  readonly dir: string;
  /** For `--root`: images, layers, containers. */
  readonly root: string;
  /** For `--state`: what a reboot forgets. */
  readonly state: string;
  /** Environment by which the processes of this test are recognised. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs `gantry --root … --state … args` to its end. */
  gantry(args: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** The same, which has to succeed; hands back what it printed, without the last line end. */
  must(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** Starts the same command and leaves it running, for tests that signal, feed or kill it. */
  spawn(args: readonly string[], options?: { env?: NodeJS.ProcessEnv }): ChildProcess;
  /** What would count as left behind now; empty when all is clean. */
  leftovers(settleMs?: number): Promise<Leftover[]>;
}

/** Makes a sandbox, runs the test in it, removes it. Fails if anything is left on the machine at the end. */
export async function withSandbox<T>(body: (box: Sandbox) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "gantry-test-"));
  const before = snapshot(dir);
  const box = sandboxAt(dir, (settleMs) => leftovers(before, settleMs));
  let result: T;
  try {
    result = await body(box);
  } catch (error) {
    // The test's own failure is the news; what it left is only cleared away.
    await clear(dir, await leftovers(before, 500));
    throw error;
  }
  const left = await leftovers(before);
  await clear(dir, left);
  if (left.length > 0) {
    const list = left.map(({ kind, name, about }) => `  ${kind} ${name} (${about})`);
    throw new Error(`left behind:\n${list.join("\n")}`);
  }
  return result;
}

function sandboxAt(dir: string, look: Sandbox["leftovers"]): Sandbox {
  const [root, state] = [join(dir, "root"), join(dir, "state")];
  mkdirSync(root);
  mkdirSync(state);
  const env = { GANTRY_TEST_DIR: dir };
  const argv = (args: readonly string[]) => {
    if (!existsSync(gantryProgram)) throw new Error(`${gantryProgram} is not built: npm run build`);
    return [gantryProgram, "--root", root, "--state", state, ...args];
  };
  return {
    dir,
    root,
    state,
    env,
    gantry: (args, options = {}) => command(argv(args), { ...options, env: { ...env, ...options.env } }),
    async must(args, options = {}) {
      return (await must(argv(args), { ...options, env: { ...env, ...options.env } })).trimEnd();
    },
    spawn(args, options = {}) {
      const [program = "", ...rest] = argv(args);
      return spawn(program, rest, { env: { ...process.env, ...env, ...options.env }, stdio: "pipe" });
    },
    leftovers: look,
  };
}

async function clear(dir: string, left: readonly Leftover[]): Promise<void> {
  await sweep(left);
  removeTree(dir);
}
