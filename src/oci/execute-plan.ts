/** The one place where a verb of the OCI runtime hands its plan to the executor. */
import { findExecutor } from "../launch/executor.ts";
import { runPlan } from "../launch/launch.ts";
import type { Plan } from "../plan/plan.ts";

/** Runs a plan with the caller's own stdio. The status is the child's where the plan waited for its end, else 0. */
export async function executePlan(plan: Plan): Promise<number> {
  const { status = 0 } = await runPlan(plan, {
    executor: findExecutor(),
    stdio: ["inherit", "inherit", "inherit"],
  });
  return status;
}
