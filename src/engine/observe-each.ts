/** Looks at every container or pod of a store, and cleans up what dead makers and removers left on the way. */
import { isGantryError } from "../base/error.ts";
import type { Internals } from "./internals.ts";
import type { RecordStore } from "./record-store.ts";

interface Observed {
  readonly record: { readonly id: string; readonly name: string; readonly createdAt: string };
}

/** Newest first. */
export async function observeEach<O extends Observed>(
  internals: Internals,
  store: RecordStore<O["record"]>,
  observe: (internals: Internals, id: string) => Promise<O | undefined>,
  clear: (internals: Internals, id: string) => Promise<void>,
): Promise<readonly O[]> {
  const all: O[] = [];
  for (const id of store.ids()) {
    try {
      if (!store.read(id)) {
        await clear(internals, id);
        continue;
      }
      const observed = await observe(internals, id);
      if (observed) all.push(observed);
    } catch (error) {
      // one damaged record must not hide all others
      if (!isGantryError(error)) throw error;
      internals.logger.warn(`a ${store.noun} cannot be read`, { id, error: error.message });
    }
  }
  return all.sort((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1));
}
