/** What an engine tells of its containers and of itself, as metrics. */

import { isGantryError } from "../base/error.ts";
import type { ContainerSummary } from "../engine/containers/list.ts";
import type { ContainerStats } from "../engine/containers/stats.ts";
import type { Engine } from "../engine/engine.ts";
import type { Metric, Sample } from "./metric-text.ts";

const states = ["created", "running", "paused", "restarting", "exited"] as const;
const healths = ["starting", "healthy", "unhealthy"] as const;

interface Measured {
  readonly container: ContainerSummary;
  readonly stats: ContainerStats | undefined;
}

/** Counters as they stand; undefined for one that has ended or was removed just now. */
async function statsOf(
  engine: Engine,
  { id, status }: ContainerSummary,
  signal: AbortSignal,
): Promise<ContainerStats | undefined> {
  if (status !== "running" && status !== "paused") return undefined;
  try {
    const container = await engine.container(id, { signal });
    for await (const sample of container.stats({ signal })) return sample;
  } catch (error) {
    if (!isGantryError(error, "not-found")) throw error;
  }
  return undefined;
}

const seconds = (time: string) => Date.parse(time) / 1000;

/** One look at all containers of the store. */
export async function engineMetrics(engine: Engine, signal: AbortSignal): Promise<readonly Metric[]> {
  const all = await engine.containers({ all: true, signal });
  const measured: Measured[] = await Promise.all(
    all.map(async (container) => ({ container, stats: await statsOf(engine, container, signal) })),
  );
  const each = (value: (one: Measured) => number | undefined): readonly Sample[] =>
    measured.flatMap((one) => {
      const found = value(one);
      const { id, name, image } = one.container;
      return found === undefined ? [] : [{ labels: { id, name, image }, value: found }];
    });
  const counter = (name: string, help: string, value: (stats: ContainerStats) => number): Metric => ({
    ...{ name: `gantry_container_${name}`, help, kind: "counter" },
    samples: each(({ stats }) => stats && value(stats)),
  });
  const gauge = (name: string, help: string, value: (stats: ContainerStats) => number): Metric => ({
    ...counter(name, help, value),
    kind: "gauge",
  });
  return [
    {
      ...{ name: "gantry_containers", help: "Containers by state.", kind: "gauge" },
      samples: states.map((state) => ({
        labels: { state },
        value: all.filter(({ status }) => status === state).length,
      })),
    },
    {
      ...{
        name: "gantry_containers_health",
        help: "Containers that are asked for their health.",
        kind: "gauge",
      },
      samples: healths.map((health) => ({
        labels: { health },
        value: all.filter((one) => one.health === health).length,
      })),
    },
    {
      ...{ name: "gantry_container_start_time_seconds", help: "When it was started.", kind: "gauge" },
      samples: each(({ container: { startedAt, pid } }) =>
        startedAt === undefined || pid === undefined ? undefined : seconds(startedAt),
      ),
    },
    {
      ...{ name: "gantry_container_restarts_total", help: "Starts by its policy.", kind: "counter" },
      samples: each(({ container: { record } }) => record.restartCount ?? 0),
    },
    counter("cpu_seconds_total", "Time on all CPUs.", ({ cpuNanoseconds }) => cpuNanoseconds / 1e9),
    gauge("memory_usage_bytes", "Without what the kernel can give up at once.", (one) => one.memoryBytes),
    gauge("memory_limit_bytes", "Its limit, or the machine's memory.", (one) => one.memoryLimitBytes),
    counter("network_receive_bytes_total", "Received.", (one) => one.networkReceivedBytes),
    counter("network_transmit_bytes_total", "Sent.", (one) => one.networkSentBytes),
    counter("block_read_bytes_total", "Read from block devices.", (one) => one.blockReadBytes),
    counter("block_written_bytes_total", "Written to block devices.", (one) => one.blockWriteBytes),
    gauge("pids", "Processes and threads.", (one) => one.pids),
    {
      ...{ name: "gantry_engine_resident_memory_bytes", help: "Of the process that serves.", kind: "gauge" },
      samples: [{ value: process.memoryUsage().rss }],
    },
    {
      ...{ name: "gantry_engine_start_time_seconds", help: "When that was started.", kind: "gauge" },
      samples: [{ value: Math.round(Date.now() / 1000 - process.uptime()) }],
    },
  ];
}
