/** A container that runs, for tests of what is done to it from outside. */
import assert from "node:assert/strict";
import { type Bundle, containerId, type Json, type Runtime, withBundle } from "./bundle.ts";

export interface Running extends Bundle {
  readonly runtime: Runtime;
  readonly id: string;
  /** Process 1 of it, as the host sees it. */
  readonly pid: number;
  /** exec with flags before the id. */
  exec(args: readonly string[], flags?: readonly string[]): ReturnType<Runtime["call"]>;
  /** exec of a script; what it printed. It has to succeed. */
  shell(script: string, flags?: readonly string[]): Promise<string>;
}

export async function pidOf(runtime: Runtime, id: string): Promise<number> {
  const { stdout, stderr, code } = await runtime.call(["state", id]);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { pid: number }).pid;
}

/** Runs a container whose process 1 sleeps, hands it over, and ends it. */
export async function withRunning<T>(
  name: Runtime["name"],
  patch: Json,
  body: (running: Running) => Promise<T>,
): Promise<T> {
  return await withBundle(name, "exec sleep 1000", patch, async (runtime, bundle) => {
    const id = containerId();
    const { code, stderr } = await runtime.call(["run", "--detach", "--bundle", bundle.path, id]);
    assert.equal(code, 0, stderr);
    const exec: Running["exec"] = (args, flags = []) => runtime.call(["exec", ...flags, id, ...args]);
    return await body({
      ...bundle,
      runtime,
      id,
      pid: await pidOf(runtime, id),
      exec,
      async shell(script, flags) {
        const outcome = await exec(["sh", "-c", script], flags);
        assert.equal(outcome.code, 0, `${name}: ${outcome.stderr}`);
        return outcome.stdout;
      },
    });
  });
}
