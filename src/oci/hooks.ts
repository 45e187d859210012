/** Hooks of a container whose own plan is over: poststart after `start`, poststop after the end. */
import { isGantryError } from "../base/error.ts";
import { findExecutor } from "../launch/executor.ts";
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

/** One after the other, each by a plan of its own. A failure ends the verb, or is logged and passed over. */
export async function runStateHooks(
  context: OciContext,
  hooks: readonly RuntimeHook[],
  state: HookState,
  onFailure: "throw" | "log",
): Promise<void> {
  if (hooks.length === 0) return;
  // most containers have none, and these modules take longer to load than such containers to end
  const { hookStep } = await import("../plan/compile/hooks.ts");
  const { lateText } = await import("../plan/compile/late-text.ts");
  const { runPlan } = await import("../launch/launch.ts");
  const kind = state.status === "running" ? "poststart" : "poststop";
  const text = lateText({ ociVersion: runtimeSpecVersion, ...state });
  const stdio = ["ignore", "inherit", "inherit"] as const;
  for (const [index, hook] of hooks.entries()) {
    const plan = { host: [hookStep(kind, index, hook, text)], child: [], cleanup: [] };
    try {
      await runPlan(plan, { executor: findExecutor(), stdio });
    } catch (error) {
      if (onFailure === "throw" || !isGantryError(error)) throw error;
      context.log.warn(error.message);
    }
  }
}
