/** Gives a container another name. */
import { existsSync } from "node:fs";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { GantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { claimName } from "../claim-name.ts";
import { type Internals, lockContainer } from "../internals.ts";
import { checkContainerName, nameClaim } from "./container-name.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
import { settleLocked } from "./observe.ts";

/**
 * The record decides: a name that leads to a container of another name leads nowhere. So a kill at any point leaves
 * the old name or the new one, and a link too many that the next one who wants the name clears away.
 */
export async function renameContainer(
  internals: Internals,
  id: string,
  wanted: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<string> {
  const name = wanted.replace(/^\//, "");
  if (name === "") throw new GantryError("invalid-argument", "Neither old nor new names may be empty");
  checkContainerName(name);
  using _ = await lockContainer(internals, id, options);
  const record = await settleLocked(internals, id);
  if (!record) throw noSuchContainer(id);
  if (record.name === name)
    throw new GantryError("invalid-argument", "Renaming a container with the same name as its current name", {
      detail: { id, name },
    });
  await claimName(internals, nameClaim(internals), name, id);
  faultPoint("rename-claimed");
  const renamed = { ...record, name };
  try {
    tellShims(internals, renamed);
    internals.containers.write(renamed);
  } catch (error) {
    internals.containers.names.release(name, id);
    tellShims(internals, record);
    throw error;
  }
  faultPoint("rename-recorded");
  internals.containers.names.release(record.name, id);
  internals.events.append("container", "rename", id, {
    ...containerAttributes(renamed),
    oldName: `/${record.name}`,
  });
  return name;
}

/** What they tell of carries the name that the container has then. Who is killed behind this is asked for it again. */
function tellShims({ containers }: Internals, { id, name }: ContainerRecord): void {
  if (existsSync(containers.stateDirectory(id))) writeFileAtomic(containers.renamedPath(id), name);
}
