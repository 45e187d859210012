/** Asks a container for its health, once. */
import { setTimeout as sleep } from "node:timers/promises";
import { isGantryError } from "../../base/error.ts";
import type { Exec } from "../containers/exec.ts";
import type { HealthCheck, Probe } from "../containers/health-check.ts";
import type { OutputStream } from "../containers/output-stream.ts";
import { startExec } from "../containers/start-exec.ts";
import type { Internals } from "../internals.ts";

/** What is kept of what a probe prints. */
const outputBytes = 4096;
/** Of one that took too long, or could not be started at all. */
const noExitCode = -1;

class Output {
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  async read(stream: OutputStream): Promise<void> {
    for await (const piece of stream) {
      const room = outputBytes - this.#bytes;
      // what is too much is read all the same: the probe must not be held up by it
      if (room > 0) this.#pieces.push(Buffer.from(piece.subarray(0, room)));
      this.#bytes += piece.length;
    }
  }

  get text(): string {
    return Buffer.concat(this.#pieces).toString("utf8") + (this.#bytes > outputBytes ? "..." : "");
  }
}

/** The exit status, or undefined if it took longer than it may; then it has been killed. */
async function endOf(exec: Exec, timeoutMs: number, signal: AbortSignal): Promise<number | undefined> {
  const timer = new AbortController();
  const over = exec.wait();
  try {
    const late = sleep(timeoutMs, "late" as const, { signal: AbortSignal.any([timer.signal, signal]) });
    const first = await Promise.race([over, late]);
    if (first !== "late") return first;
    await exec.kill("KILL");
    await over;
    return undefined;
  } finally {
    timer.abort();
  }
}

/** Fails only if `signal` aborts; whatever else goes wrong is what the probe found. */
export async function probeHealth(
  internals: Internals,
  id: string,
  { command, timeoutMs }: HealthCheck,
  signal: AbortSignal,
): Promise<Probe> {
  const start = new Date().toISOString();
  const found = (exitCode: number, output: string): Probe => ({
    start,
    end: new Date().toISOString(),
    exitCode,
    output,
  });
  try {
    await using exec = await startExec(internals, id, { command }, { signal });
    const output = new Output();
    const read = Promise.all([output.read(exec.stdout), output.read(exec.stderr)]);
    const exitCode = await endOf(exec, timeoutMs, signal);
    if (exitCode === undefined)
      return found(noExitCode, `Health check exceeded timeout (${timeoutMs / 1000}s)`);
    await read;
    return found(exitCode, output.text);
  } catch (error) {
    if (signal.aborted || !isGantryError(error)) throw error;
    return found(noExitCode, error.message);
  }
}
