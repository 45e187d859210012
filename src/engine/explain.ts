/** What a run would do: its runtime config and every privileged step, with nothing started and nothing kept. */
import type { Plan } from "../plan/plan.ts";
import type { RuntimeConfig } from "../spec/runtime-config.ts";
import { donorsFor, lentVolumes, settleLog, startPlan } from "./containers/container-plan.ts";
import { type CreateRequest, makeContainer } from "./containers/create.ts";
import { discardContainer } from "./containers/discard.ts";
import { settleDevices } from "./containers/settle-devices.ts";
import type { Internals } from "./internals.ts";

export interface Explanation {
  readonly runtimeConfig: RuntimeConfig;
  readonly plan: Plan;
}

/** The image must be here: nothing is pulled. */
export async function explainRun(
  internals: Internals,
  request: CreateRequest,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Explanation> {
  // made like any container, so that what is shown is what would happen, and discarded before it has a record
  const { name: _, ...unnamed } = request;
  return await makeContainer(
    internals,
    { ...unnamed, pull: "never" },
    { ...options, dry: true },
    async ({ record, input: asked }) => {
      const runtimeConfig = await settleDevices(internals, record, asked.runtimeConfig);
      const input = { ...asked, runtimeConfig };
      const log = await settleLog(internals, record, input.runtimeConfig);
      const donors = await donorsFor(internals, record, input.runtimeConfig);
      using shared = await lentVolumes(internals, record, options);
      const lent = shared?.sources;
      const plan = await startPlan(internals, record, { ...input, donors, lent, log, unattended: false });
      await discardContainer(internals, { id: record.id });
      return { runtimeConfig: input.runtimeConfig, plan };
    },
  );
}
