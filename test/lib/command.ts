/** Running a program from a test: what it printed, how it ended, how long it took. */
import { type ChildProcess, spawn } from "node:child_process";
import { patience } from "./until.ts";

export interface Outcome {
  /** Exit status, 128 + n after signal n. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: string | Uint8Array;
  /** Past this the program is killed and the call fails. */
  readonly timeoutMs?: number;
  /** Gets the process, to signal it or to watch what it prints. */
  readonly started?: (child: ChildProcess) => void;
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** Runs a program to its end. Waits for the program, not for whoever else still holds its pipes. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const [program = "", ...args] = argv;
  const started = performance.now();
  const child = spawn(program, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  options.started?.(child);
  // A program may end without having read its input.
  child.stdin.on("error", () => {});
  child.stdin.end(options.stdin ?? "");
  const timeoutMs = (options.timeoutMs ?? 60_000) * patience;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  let code: number;
  try {
    code = await ended(child);
  } finally {
    clearTimeout(timer);
  }
  const outcome: Outcome = {
    code,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
    ms: performance.now() - started,
  };
  if (late)
    throw new Error(`${argv.join(" ")}: not done after ${timeoutMs} ms\n${outcome.stdout}${outcome.stderr}`);
  return outcome;
}

/** Runs a program that has to succeed; hands back what it printed. */
export async function must(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await command(argv, options);
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit status ${code}\n${stderr}${stdout}`);
  return stdout;
}

/** The exit status of a child, once its pipes are drained or 300 ms after its end. */
export function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const finish = (code: number | null, signal: NodeJS.Signals | null) =>
      resolve(code ?? 128 + (signalNumbers[signal ?? ""] ?? 0));
    child.on("error", reject);
    child.on("exit", (code, signal) => setTimeout(finish, 300, code, signal));
    child.on("close", finish);
  });
}
