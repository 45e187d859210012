/** `hooks`: which side runs them, and the state that they read on stdin. */
import type { HookKind, RuntimeHook } from "../../spec/runtime-hooks.ts";
import type { Step } from "../plan.ts";
import type { Draft } from "./draft.ts";
import { lateText } from "./late-text.ts";

/** States of the runtime-spec that a hook may be told of. */
type HookStatus = "creating" | "created" | "running" | "stopped";

/** The state of the runtime-spec but for the pid. */
export function stateMembers(draft: Draft, status: HookStatus): object {
  const { id, bundle, config } = draft.request;
  const { ociVersion, annotations = {} } = config;
  return { ociVersion, id, status, bundle, annotations };
}

/** With @PID@ for the executor to fill in while there is a process. */
function stateText(draft: Draft, status: HookStatus): string {
  const known = stateMembers(draft, status);
  return status === "stopped" ? lateText({ ...known, pid: 0 }) : lateText(known, { pid: "@PID@" });
}

export function hooksOf(draft: Draft, kind: HookKind): readonly RuntimeHook[] {
  return draft.config.hooks?.[kind] ?? [];
}

/** The step that runs one hook, which reads `state` (JSON as lateText makes it) on its stdin. */
export function hookStep(kind: HookKind, index: number, hook: RuntimeHook, state: string): Step {
  return {
    op: "run-hook",
    where: `/hooks/${kind}/${index}`,
    phrase: `error running ${kind} hook #${index}`,
    path: hook.path,
    args: hook.args && hook.args.length > 0 ? hook.args : [hook.path],
    // an absent environment is an empty one, not the runtime's (runtime-spec, config.md "Hooks")
    env: hook.env ?? [],
    state,
    timeoutMs: (hook.timeout ?? 0) * 1000,
  };
}

export function runHooks(draft: Draft, list: Step[], kind: HookKind, status: HookStatus): void {
  for (const [index, hook] of hooksOf(draft, kind).entries())
    list.push(hookStep(kind, index, hook, stateText(draft, status)));
}
