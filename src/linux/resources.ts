/** The shape of `linux.resources` of an OCI runtime config (runtime-spec 1.3), field for field. */

export interface LinuxDeviceCgroup {
  readonly allow: boolean;
  /** "a" (all, the default), "c" or "b". */
  readonly type?: string | undefined;
  /** Absent or negative: any. */
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** Letters of "rwm"; absent or empty: all three. */
  readonly access?: string | undefined;
}

export interface LinuxMemory {
  readonly limit?: number | undefined;
  readonly reservation?: number | undefined;
  /** Memory and swap together; -1 is no limit. */
  readonly swap?: number | undefined;
  readonly kernel?: number | undefined;
  readonly kernelTCP?: number | undefined;
  readonly swappiness?: number | undefined;
  readonly disableOOMKiller?: boolean | undefined;
  readonly useHierarchy?: boolean | undefined;
  readonly checkBeforeUpdate?: boolean | undefined;
}

export interface LinuxCPU {
  readonly shares?: number | undefined;
  readonly quota?: number | undefined;
  readonly burst?: number | undefined;
  readonly period?: number | undefined;
  readonly realtimeRuntime?: number | undefined;
  readonly realtimePeriod?: number | undefined;
  readonly cpus?: string | undefined;
  readonly mems?: string | undefined;
  readonly idle?: number | undefined;
}

export interface LinuxPids {
  readonly limit?: number | undefined;
}

export interface LinuxWeightDevice {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
}

export interface LinuxThrottleDevice {
  readonly major: number;
  readonly minor: number;
  readonly rate?: number | undefined;
}

export interface LinuxBlockIO {
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
  readonly weightDevice?: readonly LinuxWeightDevice[] | undefined;
  readonly throttleReadBpsDevice?: readonly LinuxThrottleDevice[] | undefined;
  readonly throttleWriteBpsDevice?: readonly LinuxThrottleDevice[] | undefined;
  readonly throttleReadIOPSDevice?: readonly LinuxThrottleDevice[] | undefined;
  readonly throttleWriteIOPSDevice?: readonly LinuxThrottleDevice[] | undefined;
}

export interface LinuxHugepageLimit {
  readonly pageSize: string;
  readonly limit: number;
}

export interface LinuxInterfacePriority {
  readonly name: string;
  readonly priority: number;
}

export interface LinuxNetwork {
  readonly classID?: number | undefined;
  readonly priorities?: readonly LinuxInterfacePriority[] | undefined;
}

export interface LinuxRdma {
  readonly hcaHandles?: number | undefined;
  readonly hcaObjects?: number | undefined;
}

export interface LinuxResources {
  readonly devices?: readonly LinuxDeviceCgroup[] | undefined;
  readonly memory?: LinuxMemory | undefined;
  readonly cpu?: LinuxCPU | undefined;
  readonly pids?: LinuxPids | undefined;
  readonly blockIO?: LinuxBlockIO | undefined;
  readonly hugepageLimits?: readonly LinuxHugepageLimit[] | undefined;
  readonly network?: LinuxNetwork | undefined;
  readonly rdma?: Readonly<Record<string, LinuxRdma>> | undefined;
  readonly unified?: Readonly<Record<string, string>> | undefined;
}
