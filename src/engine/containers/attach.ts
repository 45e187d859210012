/** Connects to the streams of a running container. */
import { GantryError } from "../../base/error.ts";
import { openTask } from "../../tasks/open-task.ts";
import type { Attachment } from "../../tasks/task.ts";
import type { Internals } from "../internals.ts";
import { containerAttributes } from "./event-attributes.ts";
import { notRunning } from "./kill.ts";
import { observe } from "./observe.ts";

export interface AttachOptions {
  readonly stdin?: boolean;
  readonly signal?: AbortSignal;
}

export async function attachContainer(
  internals: Internals,
  id: string,
  options: AttachOptions = {},
): Promise<Attachment> {
  const observed = await observe(internals, id);
  if (!observed)
    throw new GantryError("not-found", `No such container: ${id}`, { detail: { container: id } });
  if (observed.state.kind !== "running") throw notRunning("attach to", observed.record);
  const { stdin, ...cancellable } = options;
  const task = openTask(internals.containers.stateDirectory(id));
  const attachment = await task.attach({ stdout: true, stderr: true, stdin: stdin ?? false }, cancellable);
  internals.events.append("container", "attach", id, containerAttributes(observed.record));
  return attachment;
}
