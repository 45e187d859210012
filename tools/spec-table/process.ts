/** process. */
import {
  container,
  decoder,
  fields,
  golden,
  labels,
  life,
  noted,
  plan,
  row,
  type Section,
  terminal,
  unproved,
} from "./proofs.ts";

export const process: Section = {
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
