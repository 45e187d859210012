/** Starting programs from the project's own scripts. */
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";

/** The top of the checkout. */
export const top = join(import.meta.dirname, "..");

export interface Finished {
  /** Exit status; 128 + n after signal n; undefined where it was stopped at its deadline. */
  readonly code: number | undefined;
  readonly output: string;
  readonly ms: number;
}

const signalNumbers: Readonly<Record<string, number>> = { SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

/**
 * Runs a program in a process group of its own and gathers what it prints (stdout and stderr together). At the
 * deadline the whole group is killed.
 */
export function run(
  command: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number; log?: string; show?: boolean } = {},
): Promise<Finished> {
  const [program = "", ...args] = command;
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? top,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const log = options.log === undefined ? undefined : createWriteStream(options.log);
    let output = "";
    let late = false;
    const take = (chunk: Buffer) => {
      output += chunk.toString();
      log?.write(chunk);
      if (options.show) process.stdout.write(chunk);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, options.timeoutMs ?? 600_000);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new Error(`start ${program}: ${error.message}`));
    });
    const finish = (code: number | null, signal: NodeJS.Signals | null) => {
      clearTimeout(timer);
      log?.end();
      const status = code ?? 128 + (signalNumbers[signal ?? ""] ?? 0);
      resolve({ code: late ? undefined : status, output, ms: performance.now() - started });
    };
    // A daemon that a test left behind may hold the pipes open: the end of the program is what counts.
    child.on("exit", (code, signal) => setTimeout(() => finish(code, signal), 200).unref());
    child.on("close", finish);
  });
}
