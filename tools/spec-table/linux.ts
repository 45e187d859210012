/** linux, but for what has a file of its own. */
import { memoryPolicyFlags, memoryPolicyModes, namespaceTypes } from "../../src/spec/runtime-linux.ts";
import {
  container,
  devices,
  fields,
  golden,
  joined,
  life,
  living,
  noted,
  plan,
  rdt,
  row,
  type Section,
  v2,
} from "./proofs.ts";

export const linux: Section = {
  title: "linux",
  rows: [
    row("/linux", plan("${what} is refused, with the pointer ${pointer}")),
    row("/linux/namespaces", life("a namespace twice is refused in runc's words")),
    row(
      "/linux/namespaces/*/type",
      joined("a new ${kind} namespace is the container's own, and the others are the host's"),
    ),
    row(
      "/linux/namespaces/*/path",
      joined("a ${kind} namespace is joined by its path"),
      joined("a path to another kind than ${kind} is refused"),
      fields("a path that is no namespace is refused"),
      fields("a path that is not there is refused"),
    ),
    ...namespaceTypes.map((kind) =>
      row(
        `/linux/namespaces/*/type=${kind}`,
        joined(`a new ${kind} namespace is the container's own, and the others are the host's`),
        joined(`a ${kind} namespace is joined by its path`),
      ),
    ),
    row(
      "/linux/{uidMappings,gidMappings}",
      container("a user namespace maps root to another user"),
      fields("a mapping without a user namespace is refused"),
    ),
    row(
      "/linux/{uidMappings,gidMappings}/*/{containerID,hostID,size}",
      fields("several mappings stand in the order of the config"),
    ),
    row(
      "/linux/timeOffsets",
      fields("both clocks of a time namespace have their offsets"),
      fields("clocks have no offset without a time namespace"),
    ),
    row(
      "/linux/timeOffsets/{boottime,monotonic}",
      fields("both clocks of a time namespace have their offsets"),
    ),
    row(
      "/linux/timeOffsets/{boottime,monotonic}/{secs,nanosecs}",
      fields("both clocks of a time namespace have their offsets"),
    ),
    row(
      "/linux/devices",
      container("the default devices work and have their numbers"),
      fields("another file at the place of a device is an error"),
    ),
    row(
      "/linux/devices/*/{path,type}",
      fields("devices may be block devices, unbuffered ones and fifos, with mode and owner"),
    ),
    row(
      "/linux/devices/*/{major,minor}",
      container("a device of the config is there with mode and owner"),
      fields("a device without numbers is refused"),
    ),
    row(
      "/linux/devices/*/{fileMode,uid,gid}",
      container("a device of the config is there with mode and owner"),
    ),
    row(
      "/linux/devices/*/type=c",
      container("a device of the config is there with mode and owner"),
      fields("a device in a user namespace is the host's, which is bound"),
    ),
    row(
      "/linux/devices/*/type={b,u,p}",
      fields("devices may be block devices, unbuffered ones and fifos, with mode and owner"),
    ),
    row(
      "/linux/netDevices",
      devices("a network device moves with its permanent global addresses, is renamed and up"),
      devices("a start that fails puts the device back as it was, with its addresses"),
    ),
    row(
      "/linux/netDevices/*/name",
      devices("a network device without a name keeps its own, and %d is the next number that is free"),
    ),
    row(
      "/linux/cgroupsPath",
      plan("cgroup paths that climb stay below the mount"),
      v2("limits stand in the files of the container's own v2 cgroup"),
      living("a writable v2 cgroup belongs to the user of the process, who can divide it"),
    ),
    row(
      "/linux/intelRdt",
      rdt("a class without a name is the container's own and goes with it"),
      rdt("intelRdt on a machine without resctrl is an error"),
    ),
    row(
      "/linux/intelRdt/closID",
      rdt("the class / is the root group"),
      rdt("a class that is only named and not there is an error"),
    ),
    row(
      "/linux/intelRdt/{schemata,l3CacheSchema,memBwSchema}",
      rdt("the schemata of a class are those of cache, memory and the free lines, in this order"),
    ),
    row(
      "/linux/intelRdt/enableMonitoring",
      rdt("monitoring has a group of its own below the class, which goes with the container"),
    ),
    row("/linux/memoryPolicy", fields("the memory policy MPOL_BIND is the kernel's")),
    row("/linux/memoryPolicy/{mode,nodes}", fields("the memory policy MPOL_BIND is the kernel's")),
    row(
      "/linux/memoryPolicy/flags",
      fields("the memory policy flag MPOL_F_STATIC_NODES is taken by the kernel"),
    ),
    ...memoryPolicyModes.map((mode) =>
      row(`/linux/memoryPolicy/mode=${mode}`, fields(`the memory policy ${mode} is the kernel's`)),
    ),
    ...memoryPolicyFlags.map((flag) =>
      row(
        `/linux/memoryPolicy/flags=${flag}`,
        fields(`the memory policy flag ${flag} is taken by the kernel`),
      ),
    ),
    row(
      "/linux/sysctl",
      container("a sysctl of an own namespace is set"),
      life("a sysctl of the machine is refused in runc's words"),
    ),
    row("/linux/rootfsPropagation", fields("rootfsPropagation shared is that of the root")),
    row(
      "/linux/rootfsPropagation={shared,private,unbindable}",
      fields("rootfsPropagation ${name} is that of the root"),
    ),
    row("/linux/rootfsPropagation=slave", [
      "test/kernel/surroundings",
      "a slave root gets what is mounted on the host, and gives nothing back",
    ]),
    row("/linux/maskedPaths", container("masked paths are empty, directory or file")),
    row("/linux/readonlyPaths", container("read-only paths cannot be written")),
    noted("written only where SELinux is on", "/linux/mountLabel", golden("labels")),
    row("/linux/personality", fields("the personality LINUX32 shows in uname")),
    row("/linux/personality/domain", fields("the personality LINUX32 shows in uname")),
    row(
      "/linux/personality/domain={LINUX,LINUX32}",
      fields("the personality ${domain as string} shows in uname"),
    ),
    noted(
      "none is defined: refused",
      "/linux/personality/flags",
      plan("${what} is refused, with the pointer ${pointer}"),
    ),
  ],
};
