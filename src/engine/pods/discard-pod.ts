/** Takes everything of a pod off the machine; the record goes first of what lies on the disk. */
import { faultPoint } from "../../base/fault.ts";
import type { Internals } from "../internals.ts";
import { letGo } from "./let-go.ts";
import { undoPod } from "./pod-plan.ts";
import { type PodRecord, podAttributes } from "./pod-record.ts";

/** Call with the lock held. Without a record, whatever is left. */
export async function discardPod(
  internals: Internals,
  pod: PodRecord | { readonly id: string },
): Promise<void> {
  const { pods } = internals;
  const { id } = pod;
  const known = "name" in pod ? pod : undefined;
  if (known?.startedInBoot !== undefined) await letGo(internals, known);
  else if (!known) await undoPod(internals, { id });
  pods.removeRecord(id);
  faultPoint("pod-discard-record");
  pods.releaseNames(id);
  faultPoint("pod-discard-name");
  pods.removeDirectory(id);
  if (known) internals.events.append("pod", "destroy", id, podAttributes(known));
}
