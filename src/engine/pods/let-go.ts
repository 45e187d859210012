/** The end of a pod that is ready: it holds nothing any more. */
import { faultPoint } from "../../base/fault.ts";
import type { Internals } from "../internals.ts";
import { undoPod } from "./pod-plan.ts";
import { type PodRecord, podAttributes } from "./pod-record.ts";

/** Call with the lock held, when none of its containers runs. */
export async function letGo(internals: Internals, record: PodRecord): Promise<void> {
  const { pods } = internals;
  // said first, so that who finds it half undone knows that it was stopped
  const stopping: PodRecord = { ...record, lastStop: { finishedAt: new Date().toISOString() } };
  pods.write(stopping);
  await undoPod(internals, record);
  faultPoint("pod-stop-undone");
  const { startedInBoot: _, ...stopped } = stopping;
  pods.write(stopped);
  internals.events.append("pod", "stop", record.id, podAttributes(record));
}
