/** The processes of all containers of a pod, in one table. */
import { GantryError } from "../../base/error.ts";
import { processesOf } from "../../oci/cgroup-files.ts";
import { containerCgroups } from "../containers/container-cgroups.ts";
import { containerAttributes } from "../containers/event-attributes.ts";
import { observe } from "../containers/observe.ts";
import { type ProcessTable, processTable } from "../containers/top.ts";
import type { Internals } from "../internals.ts";
import { containersOf } from "./pod-containers.ts";

/** `psOptions` as ps takes them; "-ef" unless told. There must be a column PID. */
export async function podProcesses(
  internals: Internals,
  id: string,
  psOptions: readonly string[],
): Promise<ProcessTable> {
  const pids: number[] = [];
  const looked = [];
  for (const { id: container } of containersOf(internals, id)) {
    const observed = await observe(internals, container);
    if (observed?.state.kind !== "running") continue;
    pids.push(...processesOf(containerCgroups(internals, observed.state.start)));
    looked.push(observed.record);
  }
  if (looked.length === 0)
    throw new GantryError("failed-precondition", `no container of pod ${id} is running`, {
      detail: { pod: id },
    });
  const table = processTable(pids, psOptions);
  for (const record of looked)
    internals.events.append("container", "top", record.id, containerAttributes(record));
  return table;
}
