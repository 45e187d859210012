/** The processes of a container, as ps(1) of the host shows them. */
import { GantryError, isGantryError } from "../../base/error.ts";
import { processesOf } from "../../oci/cgroup-files.ts";
import { runPs, selectLines } from "../../oci/verb-ps.ts";
import type { Internals } from "../internals.ts";
import { containerCgroups } from "./container-cgroups.ts";
import { noSuchContainer } from "./container-store.ts";
import { containerAttributes } from "./event-attributes.ts";
import { observe } from "./observe.ts";

export interface ProcessTable {
  readonly titles: readonly string[];
  /** One row a process, as many columns as titles. */
  readonly processes: readonly (readonly string[])[];
}

/** `psOptions` as ps takes them; "-ef" unless told. There must be a column PID. */
export async function containerProcesses(
  internals: Internals,
  id: string,
  psOptions: readonly string[] = [],
): Promise<ProcessTable> {
  const observed = await observe(internals, id);
  if (!observed) throw noSuchContainer(id);
  const { record, state } = observed;
  if (state.kind !== "running")
    throw new GantryError("failed-precondition", `container ${id} is not running`, { detail: { id } });
  const table = processTable(processesOf(containerCgroups(internals, state.start)), psOptions);
  internals.events.append("container", "top", id, containerAttributes(record));
  return table;
}

/** What ps says of these processes. */
export function processTable(processes: readonly number[], psOptions: readonly string[]): ProcessTable {
  const pids = new Set(processes);
  const output = runPsOf(psOptions.length > 0 ? psOptions : ["-ef"], pids);
  const [head = "", ...lines] = selectLines(output, pids).trimEnd().split("\n");
  const titles = fields(head);
  return {
    titles,
    processes: lines.map((line) => {
      const words = fields(line);
      // the last column is a command line with its spaces
      return [...words.slice(0, titles.length - 1), words.slice(titles.length - 1).join(" ")];
    }),
  };
}

/** With these processes named, as far as the options can go together with that (`f` cannot). */
function runPsOf(psOptions: readonly string[], pids: ReadonlySet<number>): string {
  try {
    if (pids.size > 0) return runPs([...psOptions, `-q${[...pids].join(",")}`], process.env);
  } catch (error) {
    if (!isGantryError(error, "failed-precondition")) throw error;
  }
  return runPs(psOptions, process.env);
}

function fields(line: string): readonly string[] {
  return line.trim().split(/\s+/);
}
