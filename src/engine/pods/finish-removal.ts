/** The rest of the removal of a pod, by who began it or by who finds that it was killed. */
import { faultPoint } from "../../base/fault.ts";
import { removeContainer } from "../containers/remove.ts";
import { type Internals, lockContainer, tryLockContainer } from "../internals.ts";
import { discardPod } from "./discard-pod.ts";
import { containersOf } from "./pod-containers.ts";

/**
 * The rest of a removal that has begun; true when nothing is left. Unless told to, it leaves to a live remover what is
 * that one's.
 */
export async function finishRemoval(internals: Internals, id: string, wait = false): Promise<boolean> {
  const name = `${id}.removal`;
  using mine = wait ? await lockContainer(internals, name) : tryLockContainer(internals, name);
  if (!mine) return false;
  const { pods } = internals;
  for (const { id: container } of containersOf(internals, id))
    await removeContainer(internals, container, { force: true });
  faultPoint("pod-remove-containers");
  using _ = await lockContainer(internals, id);
  const record = pods.read(id);
  if (!record) return true;
  // whoever was making one when the removal began has failed, or has a record
  if (containersOf(internals, id).length > 0) return false;
  await discardPod(internals, record);
  return true;
}
