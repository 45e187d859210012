/** The columns of `stats`, as docker heads and prints them. Pure. */
import type { ContainerStats } from "../engine/containers/stats.ts";
import type { Column } from "./format/table.ts";
import { humanMemory, humanSize } from "./format/units.ts";

const percent = (value: number) => `${value.toFixed(2)}%`;

export function statsColumns({ truncate }: { truncate: boolean }): readonly Column<ContainerStats>[] {
  const id = (one: ContainerStats) => (truncate ? one.id.slice(0, 12) : one.id);
  return [
    { name: "Container", heading: "CONTAINER", value: id },
    { name: "ID", heading: "CONTAINER ID", value: id },
    { name: "Name", heading: "NAME", value: ({ name }) => name },
    { name: "CPUPerc", heading: "CPU %", value: ({ cpuPercent }) => percent(cpuPercent) },
    {
      name: "MemUsage",
      heading: "MEM USAGE / LIMIT",
      value: ({ memoryBytes, memoryLimitBytes }) =>
        `${humanMemory(memoryBytes)} / ${humanMemory(memoryLimitBytes)}`,
    },
    { name: "MemPerc", heading: "MEM %", value: ({ memoryPercent }) => percent(memoryPercent) },
    {
      name: "NetIO",
      heading: "NET I/O",
      value: (one) => `${humanSize(one.networkReceivedBytes)} / ${humanSize(one.networkSentBytes)}`,
    },
    {
      name: "BlockIO",
      heading: "BLOCK I/O",
      value: (one) => `${humanSize(one.blockReadBytes)} / ${humanSize(one.blockWriteBytes)}`,
    },
    { name: "PIDs", heading: "PIDS", value: ({ pids }) => String(pids) },
  ];
}
