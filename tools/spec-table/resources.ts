/** linux.resources. */
import { cgroupValues, container, fields, limits, living, row, type Section, v2 } from "./proofs.ts";

export const resources: Section = {
  title: "linux.resources",
  rows: [
    row("/linux/resources", v2("limits stand in the files of the container's own v2 cgroup")),
    row(
      "/linux/resources/devices",
      container("a device that a rule allows can be opened"),
      container("a device that no rule allows cannot be opened"),
      v2("the device filter lets through what a rule allows, and nothing else"),
    ),
    row(
      "/linux/resources/devices/*/{allow,type,major,minor,access}",
      ["src/linux/device-filter", "any rules compile to what they mean"],
      [
        "src/linux/device-filter",
        "v1 lines are those of the devices controller, from the last rule for all on",
      ],
    ),
    row("/linux/resources/memory", container("memory is limited")),
    row(
      "/linux/resources/memory/limit",
      container("memory is limited"),
      v2("a program that takes too much memory is killed, and its status says so"),
    ),
    row(
      "/linux/resources/memory/{reservation,swap}",
      v2("limits stand in the files of the container's own v2 cgroup"),
      cgroupValues("swap of v2 is what the v1 notion leaves beside memory, and must fit it"),
      limits("memory, swap, reservation, swappiness and the OOM killer are as asked"),
    ),
    row(
      "/linux/resources/memory/{swappiness,disableOOMKiller}",
      cgroupValues("memory knobs of v1, and what v2 cannot do"),
    ),
    row(
      "/linux/resources/memory/{kernel,kernelTCP,useHierarchy}",
      cgroupValues("memory knobs of v1, and what v2 cannot do"),
      limits("memory, swap, reservation, swappiness and the OOM killer are as asked"),
    ),
    row(
      "/linux/resources/memory/checkBeforeUpdate",
      cgroupValues("checkBeforeUpdate of v2 asks for the usage first"),
      living("on v2 an update that fails leaves everything as it was, and says what could not be written"),
    ),
    row("/linux/resources/cpu", container("CPU time is limited")),
    row(
      "/linux/resources/cpu/shares",
      v2("limits stand in the files of the container's own v2 cgroup"),
      cgroupValues("shares become weights on the curve that meets minimum, default and maximum"),
      limits("shares, quota, period and CPUs are as asked"),
    ),
    row(
      "/linux/resources/cpu/{quota,period}",
      container("CPU time is limited"),
      limits("shares, quota, period and CPUs are as asked"),
    ),
    row(
      "/linux/resources/cpu/burst",
      cgroupValues("a burst that shrinks comes before the quota, one that grows after it"),
      limits("burst is as asked beside the quota"),
      living("on v2 one value of a pair is updated with the other as it was"),
    ),
    row(
      "/linux/resources/cpu/{realtimeRuntime,realtimePeriod}",
      fields("the scheduling policy SCHED_FIFO is the kernel's"),
      cgroupValues("real-time limits and cpusets"),
    ),
    row(
      "/linux/resources/cpu/{cpus,mems}",
      cgroupValues("real-time limits and cpusets"),
      limits("shares, quota, period and CPUs are as asked"),
    ),
    row(
      "/linux/resources/cpu/idle",
      cgroupValues("an idle group has no weight, a group that wakes has one after it woke"),
      limits("a group is idle as asked, whatever its shares"),
      living("on v2 one value of a pair is updated with the other as it was"),
    ),
    row("/linux/resources/pids", container("processes are limited")),
    row(
      "/linux/resources/pids/limit",
      container("processes are limited"),
      cgroupValues("0 means not set for memory and cpu, and is a limit for processes"),
      limits("no limit of processes is written as such"),
      limits("a limit of no further process is one"),
    ),
    row(
      "/linux/resources/blockIO",
      cgroupValues("block I/O: weights fall back where BFQ is absent, throttles go to one file of v2"),
      limits("the disks' weight is as asked"),
      limits("a disk is throttled"),
      living("resources of a new container stand in the files of v2, raw entries last"),
    ),
    row(
      "/linux/resources/blockIO/{weight,leafWeight,weightDevice,throttleReadBpsDevice,throttleWriteBpsDevice,throttleReadIOPSDevice,throttleWriteIOPSDevice}",
      cgroupValues("block I/O: weights fall back where BFQ is absent, throttles go to one file of v2"),
    ),
    row(
      "/linux/resources/blockIO/weightDevice/*/{major,minor,weight,leafWeight}",
      cgroupValues("block I/O: weights fall back where BFQ is absent, throttles go to one file of v2"),
    ),
    row(
      "/linux/resources/blockIO/{throttleReadBpsDevice,throttleWriteBpsDevice,throttleReadIOPSDevice,throttleWriteIOPSDevice}/*/{major,minor,rate}",
      cgroupValues("block I/O: weights fall back where BFQ is absent, throttles go to one file of v2"),
    ),
    row(
      "/linux/resources/hugepageLimits",
      cgroupValues("huge pages, rdma and network"),
      living("resources of a new container stand in the files of v2, raw entries last"),
    ),
    row("/linux/resources/hugepageLimits/*/{pageSize,limit}", cgroupValues("huge pages, rdma and network")),
    row("/linux/resources/network", cgroupValues("huge pages, rdma and network")),
    row("/linux/resources/network/{classID,priorities}", cgroupValues("huge pages, rdma and network")),
    row(
      "/linux/resources/network/priorities/*/{name,priority}",
      cgroupValues("huge pages, rdma and network"),
    ),
    row("/linux/resources/rdma", cgroupValues("huge pages, rdma and network")),
    row("/linux/resources/rdma/*/{hcaHandles,hcaObjects}", cgroupValues("huge pages, rdma and network")),
    row(
      "/linux/resources/unified",
      cgroupValues("raw entries come last, line by line, and their keys are checked"),
      living("resources of a new container stand in the files of v2, raw entries last"),
      living("on v2 a raw entry of a controller that is not there is refused in the same words"),
    ),
  ],
};
