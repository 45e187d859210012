/** Holds a pod while a container is made in it or started in it: nobody stops or removes it meanwhile. */
import { type Internals, lockContainer } from "../internals.ts";
import type { PodRecord } from "./pod-record.ts";
import { noSuchPod } from "./pod-store.ts";

export interface HeldPod extends Disposable {
  readonly record: PodRecord;
}

/** The pod by name or id. The caller holds the lock of the container already: whoever needs both takes them so. */
export async function joinPod(
  internals: Internals,
  name: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<HeldPod> {
  const { pods } = internals;
  const { id } = pods.identify(name);
  const lock = await lockContainer(internals, id, options);
  try {
    const record = pods.read(id);
    if (!record || record.removing) throw noSuchPod(name);
    return { record, [Symbol.dispose]: () => lock[Symbol.dispose]() };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}
