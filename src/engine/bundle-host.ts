/** What a bundle depends on of this machine; the costly parts are looked at only if the options ask for them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerOptions } from "../bundle/container-options.ts";
import type { BundleHost } from "../bundle/runtime-config.ts";
import { machineName } from "../host/hostname.ts";
import { capabilitiesOfMask } from "../linux/capabilities.ts";
import type { HostFacts } from "../plan/host-facts.ts";
import { blockDeviceNumbers, findDevices, hostDevices } from "./host-devices.ts";

export function bundleHost(facts: HostFacts, options: ContainerOptions): BundleHost {
  const { kernel, architecture } = facts;
  const limitsMemory = options.memoryBytes !== undefined || options.memorySwapBytes !== undefined;
  return {
    architecture,
    kernel: [kernel.major, kernel.minor],
    capabilities: capabilitiesOfMask(facts.capabilities),
    hostname: machineName(),
    swapLimit: limitsMemory && limitsSwap(facts),
    cpuCount: onlineCpus(),
    ...(options.privileged ? { devices: hostDevices("/dev") } : {}),
    ...(options.blockDevices ? { blockDevices: blockDeviceNumbers(options) } : {}),
    ...askedDevices(options),
  };
}

/** Devices that are asked for by path; those of CDI specs are looked up when the container starts. */
function askedDevices({
  devices = [],
  privileged = false,
}: ContainerOptions): Pick<BundleHost, "foundDevices"> {
  if (devices.length === 0) return {};
  // a privileged container has all devices under their own names
  const asked = privileged
    ? devices.filter(({ hostPath, containerPath }) => containerPath && containerPath !== hostPath)
    : devices;
  return { foundDevices: asked.flatMap(findDevices) };
}

/** CPUs of the machine: what the present process may use of them says nothing about its containers. */
function onlineCpus(): number {
  let text: string;
  try {
    text = readFileSync("/sys/devices/system/cpu/online", "utf8");
  } catch {
    return navigator.hardwareConcurrency;
  }
  return text.split(",").reduce((sum, range) => {
    const [first, last = first] = range.split("-").map(Number);
    return sum + last! - first! + 1;
  }, 0);
}

/** Whether memory cgroups can limit swap: a v1 kernel may be built or booted without. */
function limitsSwap({ cgroups }: HostFacts): boolean {
  const legacy = cgroups.controllers.get("memory");
  if (legacy) return existsSync(join(legacy.mountPoint, "memory.memsw.limit_in_bytes"));
  return existsSync("/proc/swaps");
}
