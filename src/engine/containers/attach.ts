/** Connects to the streams of a running container. */
import { GantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { Attachment } from "../../tasks/task.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
import { observe } from "./observe.ts";
import { stdinChoice } from "./start.ts";

export interface AttachOptions {
  /** Connect to its stdin too, if it has one; default false. */
  readonly stdin?: boolean | undefined;
  readonly signal?: AbortSignal;
}

function refuse({ id, name }: ContainerRecord, reason: string): GantryError {
  return new GantryError("failed-precondition", `cannot attach to ${reason}`, { detail: { id, name } });
}

export async function attachContainer(
  internals: Internals,
  id: string,
  options: AttachOptions = {},
): Promise<Attachment> {
  const observed = await observe(internals, id);
  if (!observed) throw noSuchContainer(id);
  const { record, state } = observed;
  if (state.kind !== "running") throw refuse(record, "a stopped container, start it first");
  if (state.paused) throw refuse(record, "a paused container, unpause it first");
  const { stdin, ...cancellable } = options;
  const task = openTask(internals.containers.stateDirectory(id));
  const choice = { stdout: true, stderr: true, ...(stdin ? stdinChoice(record) : {}) };
  const attachment = await task.attach(choice, cancellable);
  internals.events.append("container", "attach", id, containerAttributes(record));
  return attachment;
}
