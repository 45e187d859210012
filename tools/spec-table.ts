/**
 * What proves each part of the runtime specification: the data of docs/runtime-spec.md. A key is a JSON pointer with
 * `*` for any index or key, of one member or, after it, `=` and a value; `{a,b}` stands for either. A proof is a suite
 * (the path without .test.ts) and the name of a test in it. No proof needs a note that says why.
 */
import { mountOptionNames } from "../src/linux/mount-options.ts";
import { filterableArchitectures } from "../src/linux/seccomp/architectures.ts";
import { memoryPolicyFlags, memoryPolicyModes, namespaceTypes } from "../src/spec/runtime-linux.ts";
import {
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from "../src/spec/runtime-seccomp.ts";

export interface Row {
  readonly of: string;
  readonly proofs: readonly Proof[];
  readonly note?: string;
}
export type Proof = readonly [suite: string, test: string];

const container = (test: string): Proof => ["test/kernel/container", test];
const fields = (test: string): Proof => ["test/kernel/fields", test];
const further = (test: string): Proof => ["test/kernel/further", test];
const hooks = (test: string): Proof => ["test/kernel/hooks", test];
const life = (test: string): Proof => ["test/kernel/lifecycle", test];
const joined = (test: string): Proof => ["test/kernel/namespaces", test];
const terminal = (test: string): Proof => ["test/kernel/terminal", test];
const labels = (test: string): Proof => ["test/kernel/labels", test];
const listener = (test: string): Proof => ["test/kernel/seccomp-listener", test];
const devices = (test: string): Proof => ["test/kernel/net-devices", test];
const rdt = (test: string): Proof => ["test/kernel/intel-rdt", test];
const v2 = (test: string): Proof => ["test/kernel/v2", test];
const living = (test: string): Proof => ["test/kernel/v2-living", test];
const limits = (test: string): Proof => ["test/kernel/resources", test];
const decoder = (test: string): Proof => ["src/spec/runtime-config", test];
const plan = (test: string): Proof => ["src/plan/compile/container", test];
const seccomp = (test: string): Proof => ["src/linux/seccomp/compile", test];
const libseccomp = (test: string): Proof => ["test/seccomp/seccomp", test];
const golden = (name: string): Proof => ["test/golden/golden", `the plan of ${name} is the golden one`];

const row = (of: string, ...proofs: readonly Proof[]): Row => ({ of, proofs });
const unproved = (of: string, note: string): Row => ({ of, proofs: [], note });
const noted = (note: string, of: string, ...proofs: readonly Proof[]): Row => ({ of, proofs, note });

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

const cgroupValues = (test: string): Proof => ["src/linux/cgroup-values", test];
const cli = (test: string): Proof => ["src/oci/command", test];

const top: Section = {
  title: "The config as a whole",
  rows: [
    row("/ociVersion", decoder("versions 1.x are understood, pre-releases too, others are refused")),
    row("/root", decoder('{"root":{}} is refused with its pointer')),
    row(
      "/root/path",
      container("the host name is the container's"),
      fields("a root that is not there is an error"),
    ),
    row("/root/readonly", container("a read-only root cannot be written, a mount in it can")),
    row(
      "/hostname",
      container("the host name is the container's"),
      life("a host name without a namespace is refused in runc's words"),
    ),
    row("/domainname", fields("the domain name is the container's")),
    row(
      "/annotations",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
      decoder('{"annotations":{"":"x"}} is refused with its pointer'),
    ),
    noted(
      "members that nobody knows",
      "/*",
      decoder("a config keeps what it says and loses what nobody knows"),
    ),
  ],
};

const process: Section = {
  title: "process",
  rows: [
    row("/process", life("a config without a program is refused in runc's words")),
    row(
      "/process/terminal",
      terminal("gantry-oci: the console socket gets the master of a terminal in the container's own devpts"),
      terminal("gantry-oci: ^C, a new size and the hangup of a terminal reach the program"),
      terminal(
        "gantry-oci: consoles are refused where nobody could use them, in the words that callers know",
      ),
    ),
    row(
      "/process/consoleSize",
      terminal("gantry-oci: create hands the terminal over before the program starts"),
      terminal("gantry-oci: consoleSize means nothing without a terminal"),
    ),
    row(
      "/process/consoleSize/{height,width}",
      terminal("gantry-oci: create hands the terminal over before the program starts"),
    ),
    row("/process/user", container("uid, gid and groups are the config's")),
    row(
      "/process/user/{uid,gid}",
      container("uid, gid and groups are the config's"),
      fields("a user that the user namespace does not map is refused"),
    ),
    row(
      "/process/user/umask",
      container("the umask of the config counts"),
      container("the umask is 0022 unless told"),
    ),
    row(
      "/process/user/additionalGids",
      container("uid, gid and groups are the config's"),
      container("no group of the caller is left"),
    ),
    unproved("/process/user/username", "for Windows; read and passed over"),
    row(
      "/process/cwd",
      container("the working directory is made if it is missing"),
      fields("a working directory that is a file is an error"),
      [
        "test/kernel/surroundings",
        "a working directory that only the user may enter is entered as that user",
      ],
    ),
    row(
      "/process/args",
      fields("an argument may be empty, long and hold anything but NUL"),
      life("a program that is not in PATH fails in runc's words and leaves nothing"),
    ),
    row(
      "/process/env",
      container("the environment is the config's, with HOME from passwd"),
      fields("what is in no environment is found in no environment: no PATH, no program by name"),
    ),
    row(
      "/process/capabilities",
      container("no capabilities in the config is none at all"),
      fields("a capability that nobody knows is left out, and the rest counts"),
    ),
    row(
      "/process/capabilities/{bounding,effective,permitted}",
      container("capabilities are exactly those of the config"),
    ),
    row(
      "/process/capabilities/{inheritable,ambient}",
      container("ambient capabilities reach a program of another user"),
    ),
    row("/process/rlimits", container("limits are the config's")),
    row(
      "/process/rlimits/*/type",
      container("limits are the config's"),
      decoder("${JSON.stringify(patch).slice(0, 90)} is refused with its pointer"),
    ),
    row("/process/rlimits/*/{soft,hard}", container("limits are the config's")),
    row(
      "/process/noNewPrivileges",
      container("no_new_privs is set when asked for"),
      container("no_new_privs is not set otherwise, filter or not"),
    ),
    row(
      "/process/apparmorProfile",
      labels("an AppArmor profile is written for exec into a proc that was checked"),
      labels("a label of a security module that the host does not have is refused"),
      golden("labels"),
    ),
    row(
      "/process/selinuxLabel",
      labels("an SELinux label is written for exec into a proc that was checked"),
      golden("labels"),
    ),
    row("/process/oomScoreAdj", container("the OOM score is the config's"), [
      "test/kernel/surroundings",
      "an OOM score that the config does not speak of stays the caller's",
    ]),
    row("/process/scheduler", fields("the scheduler has its policy and niceness")),
    row("/process/scheduler/{policy,nice}", fields("the scheduler has its policy and niceness")),
    row("/process/scheduler/priority", fields("the scheduling policy SCHED_FIFO is the kernel's")),
    row(
      "/process/scheduler/flags",
      fields("a deadline scheduler has its three times, and children get the usual policy"),
    ),
    row(
      "/process/scheduler/{runtime,deadline,period}",
      fields("a deadline scheduler has its three times, and children get the usual policy"),
      fields("a deadline scheduler whose runtime is above its deadline is refused"),
    ),
    row(
      "/process/scheduler/policy={SCHED_OTHER,SCHED_IDLE,SCHED_FIFO,SCHED_RR}",
      fields("the scheduling policy ${policy as string} is the kernel's"),
    ),
    row("/process/scheduler/policy=SCHED_BATCH", fields("the scheduler has its policy and niceness")),
    row(
      "/process/scheduler/policy=SCHED_DEADLINE",
      fields("a deadline scheduler has its three times, and children get the usual policy"),
    ),
    noted(
      "Linux has no such policy: refused",
      "/process/scheduler/policy=SCHED_ISO",
      plan("${what} is refused, with the pointer ${pointer}"),
    ),
    row(
      "/process/scheduler/flags=SCHED_FLAG_RESET_ON_FORK",
      fields("a deadline scheduler has its three times, and children get the usual policy"),
    ),
    row(
      "/process/scheduler/flags={SCHED_FLAG_RECLAIM,SCHED_FLAG_DL_OVERRUN}",
      fields("the scheduling flag ${flag} is taken by the kernel"),
    ),
    unproved(
      "/process/scheduler/flags={SCHED_FLAG_KEEP_POLICY,SCHED_FLAG_KEEP_PARAMS,SCHED_FLAG_UTIL_CLAMP_MIN,SCHED_FLAG_UTIL_CLAMP_MAX}",
      "handed to the kernel by its bit; nothing to see here, and the clamps have no values in the specification",
    ),
    row("/process/ioPriority", fields("the IO priority IOPRIO_CLASS_BE is the kernel's")),
    row("/process/ioPriority/{class,priority}", fields("the IO priority IOPRIO_CLASS_BE is the kernel's")),
    row(
      "/process/ioPriority/class={IOPRIO_CLASS_RT,IOPRIO_CLASS_BE,IOPRIO_CLASS_IDLE}",
      fields("the IO priority ${kind as string} is the kernel's"),
    ),
    noted("for exec alone", "/process/execCPUAffinity", [
      "test/kernel/exec-further",
      "exec has limits, OOM score, CPUs and a new session as its process says",
    ]),
    row("/process/execCPUAffinity/{initial,final}", [
      "test/kernel/exec-further",
      "exec has limits, OOM score, CPUs and a new session as its process says",
    ]),
  ],
};

const hookSection: Section = {
  title: "hooks",
  rows: [
    row(
      "/hooks",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
    ),
    ...(["prestart", "createRuntime", "createContainer"] as const).map((kind) =>
      row(
        `/hooks/${kind}`,
        hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
        hooks(
          `a ${kind} hook that fails ends create with its status, the next is not run, and nothing is left`,
        ),
      ),
    ),
    row(
      "/hooks/startContainer",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
      hooks("a startContainer hook that fails ends start with its status, and the program never runs"),
    ),
    row(
      "/hooks/poststart",
      hooks("poststart comes when the program runs, however long the hooks before it take"),
      hooks("a poststart hook that fails is an error and stops the container"),
    ),
    row("/hooks/poststop", hooks("a poststop hook that fails changes nothing, and the next is run")),
    row(
      "/hooks/{prestart,createRuntime,createContainer,startContainer,poststart,poststop}/*/{path,args,env}",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
      hooks("a hook without arguments gets its path, and without an environment none"),
    ),
    row(
      "/hooks/{prestart,createRuntime,createContainer,startContainer,poststart,poststop}/*/timeout",
      hooks("a hook that takes longer than its timeout is killed and fails"),
    ),
  ],
};

const option = (name: string): Proof => [
  "test/kernel/mount-options",
  `the mount option ${name} does what it says`,
];

const mounts: Section = {
  title: "mounts",
  rows: [
    row("/mounts", container("mounts are made in their order")),
    row(
      "/mounts/*/destination",
      container("a file is bound onto a file that is made"),
      container("a link in the root leads a mount nowhere else"),
    ),
    row(
      "/mounts/*/source",
      container("a bind mount shows the host's file, read-only"),
      life("a mount source that does not exist is refused in runc's words"),
      [
        "test/kernel/surroundings",
        "a bind keeps the flags that its source has locked for a user without privileges",
      ],
    ),
    row(
      "/mounts/*/type",
      container("a mount has its options"),
      container("the cgroup mount is read-only and starts at the own cgroup"),
      v2("limits stand in the files of the container's own v2 cgroup"),
      container("a user namespace shares the network of the host with its sysfs"),
    ),
    row(
      "/mounts/*/options",
      ["test/kernel/mount-options", "no mount option of the specification is left out"],
      container("a tmpfs has its size and mode"),
      container("a tmpfs without a mode looks like what it covers"),
    ),
    row(
      "/mounts/*/{uidMappings,gidMappings}",
      further("an id-mapped bind mount may have a map of its own, without any user namespace"),
    ),
    row(
      "/mounts/*/{uidMappings,gidMappings}/*/{containerID,hostID,size}",
      further("an id-mapped bind mount may have a map of its own, without any user namespace"),
    ),
    ...mountOptionNames.map((name) =>
      name === "tmpcopyup"
        ? row(`/mounts/*/options=${name}`, container("tmpcopyup begins with what was there"))
        : name === "idmap"
          ? row(
              `/mounts/*/options=${name}`,
              further("an id-mapped bind mount shows the container's ids and keeps the host's on disk"),
            )
          : ["mand", "nomand", "silent", "loud", "iversion", "noiversion"].includes(name)
            ? noted(
                "accepted; a new kernel has nothing to show for it",
                `/mounts/*/options=${name}`,
                option(name),
              )
            : row(`/mounts/*/options=${name}`, option(name)),
    ),
  ],
};

const linux: Section = {
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

const seccompSection: Section = {
  title: "linux.seccomp",
  rows: [
    row(
      "/linux/seccomp",
      container("a filter answers with its errno"),
      container("a filter with no_new_privs answers with its errno"),
      libseccomp("Docker's policy has libseccomp's verdict for every call and argument class"),
    ),
    row(
      "/linux/seccomp/defaultAction",
      libseccomp("random policies have libseccomp's verdicts"),
      libseccomp("calls younger than Docker's policy fail with ENOSYS, all others as without that step"),
    ),
    row("/linux/seccomp/defaultErrnoRet", fields("the default errno is the config's")),
    row(
      "/linux/seccomp/architectures",
      fields("all architectures in one filter are taken by the kernel"),
      seccomp("calls of architectures that the policy does not name kill, and so do x32 calls"),
    ),
    row("/linux/seccomp/flags", fields("the filter flags TSYNC, LOG and SPEC_ALLOW are taken by the kernel")),
    row(
      "/linux/seccomp/listenerPath",
      listener("gantry-oci: an agent gets the listener and decides, without no_new_privs"),
      listener("create hands the listener over before it returns, also with no_new_privs"),
      listener("exec hands over a listener of its own, with the state of a container that runs"),
      listener("an agent that is not there is refused, and nothing runs"),
    ),
    row(
      "/linux/seccomp/listenerMetadata",
      listener("gantry-oci: an agent gets the listener and decides, with no_new_privs"),
      listener("metadata for nobody is refused"),
    ),
    row("/linux/seccomp/syscalls", libseccomp("any policy, sense or nonsense, means what the model says")),
    row(
      "/linux/seccomp/syscalls/*/names",
      seccomp("names that no architecture has are skipped and can be asked for"),
    ),
    row(
      "/linux/seccomp/syscalls/*/action",
      fields("the seccomp action ${action} does to a call what it says"),
    ),
    row(
      "/linux/seccomp/syscalls/*/errnoRet",
      fields("the errno of a rule is the config's"),
      fields("an errno for an action that has none is refused"),
    ),
    row(
      "/linux/seccomp/syscalls/*/args",
      fields("several arguments of a rule must all hold"),
      libseccomp("random policies whose rules overlap and disagree have libseccomp's precedence"),
    ),
    row(
      "/linux/seccomp/syscalls/*/args/*/{index,value,valueTwo,op}",
      fields("the seccomp operator ${op} compares an argument"),
      seccomp("each operator compares all 64 bits"),
    ),
    ...seccompActions.map((action) =>
      row(
        `/linux/seccomp/defaultAction=${action}`,
        action === "SCMP_ACT_NOTIFY"
          ? listener("gantry-oci: an agent gets the listener and decides, without no_new_privs")
          : fields(`the seccomp action ${action} does to a call what it says`),
      ),
    ),
    ...seccompOperators.map((op) =>
      row(
        `/linux/seccomp/syscalls/*/args/*/op=${op}`,
        fields(`the seccomp operator ${op} compares an argument`),
      ),
    ),
    ...seccompFlags.map((flag) =>
      flag === "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
        ? row(
            `/linux/seccomp/flags=${flag}`,
            listener("a listener may ask to be waited for by none but fatal signals"),
          )
        : flag === "SECCOMP_FILTER_FLAG_TSYNC"
          ? noted(
              "the process that loads the filter has one thread: nothing to do",
              `/linux/seccomp/flags=${flag}`,
              fields("the filter flags TSYNC, LOG and SPEC_ALLOW are taken by the kernel"),
            )
          : row(
              `/linux/seccomp/flags=${flag}`,
              fields("the filter flags TSYNC, LOG and SPEC_ALLOW are taken by the kernel"),
            ),
    ),
    ...seccompArchitectures.map((name) =>
      filterableArchitectures.includes(name)
        ? row(
            `/linux/seccomp/architectures=${name}`,
            libseccomp("random policies have libseccomp's verdicts"),
          )
        : noted(
            "its programs run on no machine that Gantry runs on: accepted, adds nothing",
            `/linux/seccomp/architectures=${name}`,
            seccomp(
              "all 23 architectures may be named; one whose programs cannot run here adds nothing to the filter",
            ),
          ),
    ),
  ],
};

const resources: Section = {
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

const documents: Section = {
  title: "Other documents",
  rows: [
    row("features", cli("features lists what is known in the form of the specification")),
    row("state", life("gantry-oci: create waits, start lets go, kill ends, delete leaves nothing")),
    row(
      "spec",
      ["test/kernel/surroundings", "what spec writes is a config that runc runs too"],
      [
        "test/kernel/surroundings",
        "what spec --rootless writes is a config that a user without privileges runs, with runc too",
      ],
      cli("the example of spec is a config that the decoder takes, rootless too"),
    ),
  ],
};

export const specTable: readonly Section[] = [
  top,
  process,
  hookSection,
  mounts,
  linux,
  seccompSection,
  resources,
  documents,
];
