/** The containers of a pod: those whose records name it. */
import { taskState } from "../../tasks/task-state.ts";
import type { ContainerRecord } from "../containers/container-record.ts";
import type { Internals } from "../internals.ts";

/** Its containers, the oldest first. */
export function containersOf(internals: Internals, id: string): readonly ContainerRecord[] {
  const warn = (container: string, error: unknown) =>
    internals.logger.warn("a container cannot be read", { id: container, error: String(error) });
  return internals.containers
    .list(warn)
    .filter(({ pod }) => pod === id)
    .sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
}

export function isRunning(internals: Internals, { id, startedInBoot }: ContainerRecord): boolean {
  return startedInBoot !== undefined && taskState(internals.containers.stateDirectory(id)).kind === "running";
}
