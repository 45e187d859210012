/** Calls off what the policy of a container would do after its end. */
import { bootId } from "../boot.ts";
import { type Internals, lockContainer } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { heldBack } from "./restart-policy.ts";

/** Somebody stops it: its policy is not to start it again. */
export async function holdBack(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  if (!hasPolicy(internals.containers.read(id))) return;
  using _ = await lockContainer(internals, id, options);
  const record = internals.containers.read(id);
  if (record && hasPolicy(record)) internals.containers.write(heldBack(record, bootId()));
}

function hasPolicy(record: ContainerRecord | undefined): boolean {
  return record?.restartPolicy !== undefined && record.restartPolicy.name !== "no";
}
