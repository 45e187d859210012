/**
 * The one place where a verb of the OCI runtime hands its plan to the executor.
 *
 * Started by the entry in C, this program writes the plan to a pipe and ends: the entry, which has the caller's
 * descriptors, limits and signals, becomes the executor. This program stays, with the executor as its child, where a
 * plan has points at which somebody must say go, and where there is no such entry.
 */
import { writeSync } from "node:fs";
import type { LaunchOptions } from "../launch/launch.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/plan.ts";
import type { OciContext, OciSettings } from "./context.ts";
import { failureText, tellFailure, verbIntro } from "./tell-failure.ts";

export interface PlanStreams {
  /** How many of the caller's descriptors from 3 on the program gets. */
  readonly preserveFds?: number | undefined;
  /** The plan works with the caller's terminal. */
  readonly terminal?: boolean | undefined;
}

export interface PlanOptions extends PlanStreams {
  /** Does this program's part at the plan's sync points. */
  readonly onSync?: LaunchOptions["onSync"] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears of a clean-up that failed after the program's end, whose status stands; without it that is an error. */
  readonly onFailure?: ((failure: unknown) => void) | undefined;
  /** Sees the plan's bytes before the entry gets them. */
  readonly onHandOver?: ((plan: Uint8Array) => Promise<void>) | undefined;
}

/**
 * Runs a plan with the caller's own stdio and descriptors. The status is the child's where the plan waited for its end,
 * else 0; where the entry runs the plan, nobody hears of it here.
 */
export async function executePlan(
  context: OciContext,
  verb: string,
  plan: Plan,
  options: PlanOptions = {},
): Promise<number> {
  const descriptor = context.env.GANTRY_PLAN_FD;
  if (descriptor === undefined || plan.host.some(({ op }) => op === "sync"))
    return await executePlanHere(plan, {
      onFailure: (failure) => context.log.error(verbIntro(verb) + failureText(failure, verb)),
      ...options,
    });
  const bytes = encodeTold(context, verb, plan);
  await options.onHandOver?.(bytes);
  for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(Number(descriptor), rest));
  return 0;
}

/** The plan as bytes, with the step that has the executor tell of a failure as this program would. */
export function encodeTold(context: OciSettings, verb: string, plan: Plan): Uint8Array {
  const telling = tellFailure(verb, context.logTarget, context.debug);
  return encodePlan({ ...plan, host: [telling, ...plan.host] });
}

/** Runs a plan as a child of this program, which waits for it, hears of its failure, and answers its sync points. */
export async function executePlanHere(plan: Plan, options: PlanOptions = {}): Promise<number> {
  const [{ findExecutor }, { runPlan }] = await Promise.all([
    import("../launch/executor.ts"),
    import("../launch/launch.ts"),
  ]);
  const preserved = Array.from({ length: options.preserveFds ?? 0 }, (_, index) => 3 + index);
  const { status = 0, failure } = await runPlan(plan, {
    executor: findExecutor(),
    stdio: ["inherit", "inherit", "inherit", ...preserved],
    sameSession: options.terminal ?? false,
    ...(options.onSync ? { onSync: options.onSync } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  if (failure !== undefined) {
    if (!options.onFailure) throw failure;
    options.onFailure(failure);
  }
  return status;
}
