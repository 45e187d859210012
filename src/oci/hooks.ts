/** Hooks that this command runs itself, because no plan is there any more: poststart and poststop. */
import { GantryError } from "../base/error.ts";
import { runtimeSpecVersion } from "../spec/runtime-config.ts";
import type { RuntimeHook } from "../spec/runtime-hooks.ts";
import type { OciContext } from "./context.ts";

export interface HookState {
  readonly id: string;
  readonly status: "running" | "stopped";
  readonly pid: number;
  readonly bundle: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One after the other, each with the state on stdin. A failure ends the verb, or is logged and passed over. */
export async function runStateHooks(
  context: OciContext,
  hooks: readonly RuntimeHook[],
  state: HookState,
  onFailure: "throw" | "log",
): Promise<void> {
  if (hooks.length === 0) return;
  // most containers have none, and this module takes longer to load than they take to end
  const { spawnSync } = await import("node:child_process");
  const kind = state.status === "running" ? "poststart" : "poststop";
  for (const [index, { path, args = [path], env = [], timeout }] of hooks.entries()) {
    const result = spawnSync(path, args.slice(1), {
      argv0: args[0] ?? path,
      env: Object.fromEntries(
        env.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
      ),
      input: JSON.stringify({ ociVersion: runtimeSpecVersion, ...state }),
      stdio: ["pipe", "inherit", "inherit"],
      ...(timeout === undefined ? {} : { timeout: timeout * 1000, killSignal: "SIGKILL" as const }),
    });
    if (result.status === 0) continue;
    const reason =
      result.error?.message ?? (result.signal ? `ended by ${result.signal}` : `exit status ${result.status}`);
    const message = `error running ${kind} hook #${index}: ${path}: ${reason}`;
    if (onFailure === "throw")
      throw new GantryError("failed-precondition", message, {
        detail: { pointer: `/hooks/${kind}/${index}` },
      });
    context.log.warn(message);
  }
}
