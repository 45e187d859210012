/** Devices that are named by CDI specs are looked up at each start: what they bring may change with their driver. */
import { withCdi } from "../../bundle/cdi.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { writeRuntimeConfig } from "./runtime-config-file.ts";

/** Whether a start has to look for devices. */
export function namesDevices({
  options: { cdiDevices = [], gpus },
}: Pick<ContainerRecord, "options">): boolean {
  return cdiDevices.length > 0 || gpus !== undefined;
}

/** The config with what the devices bring, by which the container then runs. */
export async function settleDevices(
  internals: Internals,
  record: ContainerRecord,
  config: RuntimeConfig,
): Promise<RuntimeConfig> {
  if (!namesDevices(record)) return config;
  const { findCdiDevices, gpuNames } = await import("../cdi-devices.ts");
  const { cdiDevices = [], gpus, privileged = false } = record.options;
  const edits = findCdiDevices([...cdiDevices, ...(gpus === undefined ? [] : gpuNames(gpus))]);
  const settled = withCdi(config, edits, { privileged });
  writeRuntimeConfig(internals, record.id, settled);
  return settled;
}
