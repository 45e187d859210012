/** One qemu process with a disk or several, and the dialogue with the agent on its second serial line. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import type { Outcome } from "../lib/command.ts";
import { remedy, StaleCode, stuckArgument } from "./stale-code.ts";

export interface Machine extends AsyncDisposable {
  /** Runs a shell script in the machine as root. PATH holds gantry, gantry-oci and the machine's commands. */
  run(script: string, options?: { timeoutMs?: number }): Promise<Outcome>;
  /** What the kernel has printed so far. */
  console(): string;
  /** How often its processors were stuck in code that was no longer there. */
  staleCode(): number;
}

export interface QemuOptions {
  /** Removed at the end. */
  readonly dir: string;
  readonly kernel: string;
  readonly initrd: string;
  /** /dev/vda, /dev/vdb, …; what is written to them is thrown away. */
  readonly disks: readonly string[];
  readonly memoryMb: number;
  readonly kernelArguments: string;
}

/** no_timer_check: on a loaded host the kernel would think that its timer does not work. */
const kernelArguments = ["console=ttyS0", "panic=-1", "no_timer_check", "quiet", stuckArgument];

/** How long a machine may take until its agent says that it is ready: others may be using the same processors. */
const bootMs = 180_000;

export async function startQemu(options: QemuOptions): Promise<Machine> {
  const { dir } = options;
  const consoleLog = join(dir, "console.log");
  const argv = [
    ...["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"],
    ...["-m", String(options.memoryMb), "-nodefaults", "-display", "none", "-no-reboot"],
    ...["-serial", `file:${consoleLog}`, "-serial", "stdio"],
    ...options.disks.flatMap((disk) => [
      "-drive",
      `file=${disk},if=virtio,format=raw,cache=unsafe,snapshot=on`,
    ]),
    ...["-kernel", options.kernel, "-initrd", options.initrd],
    ...["-append", [...kernelArguments, options.kernelArguments].join(" ").trim()],
  ];
  const qemu = spawn("qemu-system-x86_64", argv, {
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    // where the throw-away copies of written blocks go
    env: { ...process.env, TMPDIR: dir, LD_PRELOAD: await remedy.build() },
  });
  let complaint = "";
  qemu.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const printed = () => (existsSync(consoleLog) ? readFileSync(consoleLog, "utf8") : "");
  const waiting = new Map<string, (line: string) => void>();
  const exited = new Promise<void>((resolve) => {
    qemu.on("exit", () => resolve());
    qemu.on("error", (error) => {
      complaint += error.message;
      resolve();
    });
  });
  createInterface({ input: qemu.stdout }).on("line", (line) => {
    const id = line.trim().split(" ")[0] ?? "";
    waiting.get(id)?.(line.trim());
    waiting.delete(id);
  });

  const answer = async (id: string, timeoutMs: number): Promise<string> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = (why: string) => reject(new Error(`${why}\n${complaint}${printed().slice(-3000)}`));
      timer = setTimeout(() => fail(`the virtual machine is silent after ${timeoutMs} ms`), timeoutMs);
      void exited.then(() => fail("the virtual machine ended"));
    });
    try {
      return await Promise.race([new Promise<string>((resolve) => waiting.set(id, resolve)), late]);
    } finally {
      clearTimeout(timer);
    }
  };
  const staleCode = new StaleCode(consoleLog, qemu.stdio[3] as Duplex);
  const stop = async () => {
    staleCode[Symbol.dispose]();
    // Everything in it is thrown away: there is nothing to shut down.
    qemu.kill("SIGKILL");
    await exited;
    rmSync(dir, { recursive: true, force: true });
  };

  try {
    await answer("ready", bootMs);
  } catch (error) {
    await stop();
    throw error;
  }
  let count = 0;
  return {
    async run(script, { timeoutMs = 60_000 } = {}) {
      const id = String(++count);
      const started = performance.now();
      const reply = answer(id, timeoutMs);
      qemu.stdin.write(`${id} ${Buffer.from(script).toString("base64")}\n`);
      const [, code, out = "", err = ""] = (await reply).split(" ");
      const text = (part: string) => Buffer.from(part.slice(1), "base64").toString();
      return { code: Number(code), stdout: text(out), stderr: text(err), ms: performance.now() - started };
    },
    console: printed,
    staleCode: () => staleCode.drops,
    [Symbol.asyncDispose]: stop,
  };
}
