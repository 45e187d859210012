/** Takes a name for a container or a pod, also from one that was never finished, or was called so before a killed rename. */
import type { GantryError } from "../base/error.ts";
import { type Internals, tryLockContainer } from "./internals.ts";
import type { RecordStore } from "./record-store.ts";

export interface NameClaim {
  readonly store: RecordStore<{ readonly id: string; readonly name: string }>;
  /** Looks at one that has a record: undefined if it is gone, also because looking at it removed it. */
  readonly observe: (internals: Internals, id: string) => Promise<unknown>;
  /** Removes the rest of one without a record, if nobody alive is at it. */
  readonly clear: (internals: Internals, id: string) => Promise<void>;
  readonly taken: (name: string, owner: string) => GantryError;
}

/** `wanted`, or a random one. Call with the lock of `id` held. */
export async function claimName(
  internals: Internals,
  { store, observe, clear, taken }: NameClaim,
  wanted: string | undefined,
  id: string,
): Promise<string> {
  const { names } = store;
  if (wanted === undefined) return names.claimRandom(id);
  for (let attempt = 0; attempt < 3; attempt++) {
    if (names.claim(wanted, id)) return wanted;
    const owner = names.find(wanted);
    if (owner === undefined) continue;
    if (owner === id) return wanted;
    if (store.read(owner) && (await observe(internals, owner))) {
      if (releaseForeign(internals, store, wanted, owner)) continue;
      throw taken(wanted, owner);
    }
    // its maker or remover died, or is still at it: the latter keeps the name
    await clear(internals, owner);
    if (names.find(wanted) === owner && !store.exists(owner)) names.release(wanted, owner);
  }
  throw taken(wanted, names.find(wanted) ?? "");
}

/** Takes a name from one that bears another, unless it is being renamed just now. */
function releaseForeign(
  internals: Internals,
  store: NameClaim["store"],
  name: string,
  owner: string,
): boolean {
  if (store.read(owner)?.name === name) return false;
  using lock = tryLockContainer(internals, owner);
  if (!lock || store.read(owner)?.name === name) return false;
  store.names.release(name, owner);
  return true;
}
