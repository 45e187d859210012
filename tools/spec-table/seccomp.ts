/** linux.seccomp. */
import { filterableArchitectures } from "../../src/linux/seccomp/architectures.ts";
import {
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from "../../src/spec/runtime-seccomp.ts";
import { container, fields, libseccomp, listener, noted, row, type Section, seccomp } from "./proofs.ts";

export const seccompSection: Section = {
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
