/** What is a name of a container, and whose it is. */
import { GantryError } from "../../base/error.ts";
import type { NameClaim } from "../claim-name.ts";
import type { Internals } from "../internals.ts";
import { nameLimit } from "../record-names.ts";
import { clearHalfMade, observe } from "./observe.ts";

const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Refuses what is no container name, in docker's words. */
export function checkContainerName(name: string): void {
  if (nameForm.test(name) && name.length <= nameLimit) return;
  throw new GantryError(
    "invalid-argument",
    `Invalid container name (${name.slice(0, 300)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    { detail: { name: name.slice(0, 300) } },
  );
}

/** How a container gets its name. */
export function nameClaim({ containers: store }: Internals): NameClaim {
  return { store, observe, clear: clearHalfMade, taken: nameTaken };
}

function nameTaken(name: string, owner: string): GantryError {
  return new GantryError(
    "already-exists",
    `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
    { detail: { name, owner } },
  );
}
