/** Takes a name for a container, also from one that was never finished, or was called so before a killed rename. */
import { GantryError } from "../../base/error.ts";
import { type Internals, tryLockContainer } from "../internals.ts";
import { clearHalfMade, observe } from "./observe.ts";

/** `wanted`, or a random one. Call with the lock of the container `id` held. */
export async function claimName(
  internals: Internals,
  wanted: string | undefined,
  id: string,
): Promise<string> {
  const { names } = internals.containers;
  if (wanted === undefined) return names.claimRandom(id);
  for (let attempt = 0; attempt < 3; attempt++) {
    if (names.claim(wanted, id)) return wanted;
    const owner = names.find(wanted);
    if (owner === undefined) continue;
    if (owner === id) return wanted;
    // looking at it removes one that has ended and was to be removed then
    if (internals.containers.read(owner) && (await observe(internals, owner))) {
      if (releaseForeign(internals, wanted, owner)) continue;
      throw nameTaken(wanted, owner);
    }
    // its maker or remover died, or is still at it: the latter keeps the name
    await clearHalfMade(internals, owner);
    if (names.find(wanted) === owner && !internals.containers.exists(owner)) names.release(wanted, owner);
  }
  throw nameTaken(wanted, names.find(wanted) ?? "");
}

/** Takes a name from a container that bears another one, unless it is being renamed just now. */
function releaseForeign(internals: Internals, name: string, owner: string): boolean {
  const { containers } = internals;
  if (containers.read(owner)?.name === name) return false;
  using lock = tryLockContainer(internals, owner);
  if (!lock || containers.read(owner)?.name === name) return false;
  containers.names.release(name, owner);
  return true;
}

function nameTaken(name: string, owner: string): GantryError {
  return new GantryError(
    "already-exists",
    `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
    { detail: { name, owner } },
  );
}
