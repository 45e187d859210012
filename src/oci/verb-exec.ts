/** exec: a further process in a container that runs. */
import type { Verb } from "./context.ts";
import { compileExecOf, execFlags } from "./exec-container.ts";
import { executePlan } from "./execute-plan.ts";
import { failureOf } from "./tell-failure.ts";

export const exec: Verb = {
  usage:
    "exec [flags] <container-id> <command> [command options]\n   or: exec [flags] --process FILE <container-id>",
  help: "execute new process inside the container",
  flags: execFlags,
  arguments: [1, Number.POSITIVE_INFINITY],
  async run(context, flags) {
    try {
      const { plan, ...streams } = await compileExecOf(context, flags);
      return await executePlan(context, "exec", plan, streams);
    } catch (error) {
      throw failureOf("exec", error);
    }
  },
};
