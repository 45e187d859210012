/** Drives test/lib/terminal-peer.c: the receiver of a console socket, a terminal to run programs on, a service manager. */
import { type ChildProcess, spawn } from "node:child_process";
import { ended } from "./command.ts";
import { compiled } from "./compiled.ts";
import { until } from "./until.ts";

/** `build` hands back the program. */
export const terminalPeer = compiled("test/lib/terminal-peer.c");

export interface PeerOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Descriptors 8 and 9 of `drive`: what stdin and stdout are, where they are no terminal. */
  readonly files?: readonly [stdin: number | "ignore", stdout: number | "ignore"];
}

export class Peer {
  readonly process: ChildProcess;
  readonly over: Promise<number>;
  #output: Buffer[] = [];
  #errors = "";

  constructor(program: string, args: readonly string[], { env, files }: PeerOptions = {}) {
    const none = "ignore" as const;
    this.process = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe", ...(files ? [none, none, none, none, none, ...files] : [])],
      env: { ...process.env, ...env },
    });
    this.process.stdout!.on("data", (chunk: Buffer) => this.#output.push(chunk));
    this.process.stderr!.on("data", (chunk: Buffer) => {
      this.#errors += String(chunk);
    });
    this.process.stdin!.on("error", () => {});
    this.over = ended(this.process);
  }

  /** What it has printed, and what came from the terminal. */
  get output(): string {
    return Buffer.concat(this.#output).toString("latin1");
  }

  get errors(): string {
    return this.#errors;
  }

  /** Waits until the output matches. */
  async prints(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    try {
      return await until(String(pattern), () => pattern.exec(this.output) ?? undefined, timeoutMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.output.slice(-2000)}\n${this.errors}`);
    }
  }

  type(text: string): void {
    this.process.stdin!.write(Buffer.from(text, "latin1"));
  }

  resize(rows: number, columns: number): void {
    this.process.stdin!.write(Buffer.from([0xff, rows, columns]));
  }

  hangUp(): void {
    this.process.stdin!.end();
  }

  /** The end of `drive`: exit status of its program, and whether the terminal is set as it was. */
  async driven(timeoutMs = 20_000): Promise<{ status: number; restored: boolean }> {
    const found = await until(
      "the end of the driven program",
      () => /status=(\d+) restored=(\d)/.exec(this.errors) ?? undefined,
      timeoutMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.output.slice(-2000)}\n${this.errors}`);
    });
    await this.over;
    return { status: Number(found[1]), restored: found[2] === "1" };
  }

  end(): void {
    this.process.kill("SIGKILL");
  }
}
