/** `linux.seccomp.listenerPath`: who gets the notify descriptor of a filter with SCMP_ACT_NOTIFY, and when. */
import { refuse } from "../../base/decode.ts";
import type { SeccompFilter } from "../../linux/seccomp/compile.ts";
import { runtimeSpecVersion } from "../../spec/runtime-config.ts";
import { holds } from "../host-facts.ts";
import type { Draft } from "./draft.ts";
import { stateMembers } from "./hooks.ts";
import { lateText } from "./late-text.ts";

const where = "/linux/seccomp";
const capSysPtrace = 19;
const register = "seccomp listener";

export function checkListener(draft: Draft, filter: SeccompFilter | undefined): void {
  const { listenerPath, listenerMetadata, syscalls = [] } = draft.linux.seccomp ?? {};
  if (listenerMetadata && !listenerPath)
    refuse(`${where}/listenerMetadata`, "seccomp listenerMetadata needs a listenerPath");
  if (!filter?.listener) return;
  if (!listenerPath) refuse(`${where}/listenerPath`, "seccomp listenerPath is not set");
  const sends = syscalls.findIndex(
    ({ action, names }) => action === "SCMP_ACT_NOTIFY" && names.includes("sendmsg"),
  );
  if (listenerOf(draft, filter) === 2 && sends >= 0)
    refuse(
      `${where}/syscalls/${sends}`,
      "SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall without CAP_SYS_PTRACE",
    );
}

/**
 * Operand of load-seccomp. Taking a descriptor out of a process needs the rights of a tracer (pidfd_getfd(2)), which
 * a user without privileges has not over a process that may not be dumped.
 */
export function listenerOf(draft: Draft, filter: SeccompFilter): 0 | 1 | 2 {
  if (!filter.listener) return 0;
  return holds(draft.facts, capSysPtrace) ? 1 : 2;
}

/** In the child, right after the filter: what it does from here on may have to be judged by the agent. */
export function awaitListener(draft: Draft, filter: SeccompFilter): void {
  if (filter.listener) draft.meet("listener");
}

/** Of the container: for exec it runs, and its pid is another one. */
function stateOf(draft: Draft): string {
  const { mode } = draft.request;
  if (mode.kind === "exec") return lateText({ ...stateMembers(draft, "running"), pid: mode.init.pid });
  return lateText(stateMembers(draft, "creating"), { pid: "@PID@" });
}

/** The host side of it, before the child is let go on. */
export function handOverListener(draft: Draft, filter: SeccompFilter): void {
  if (!filter.listener) return;
  const { listenerPath = "", listenerMetadata } = draft.linux.seccomp ?? {};
  draft.host.push({
    op: "receive-listener",
    where,
    phrase: "unable to init seccomp",
    take: listenerOf(draft, filter) === 1 ? 1 : 0,
    fd: register,
  });
  draft.host.push({
    op: "send-listener",
    where: `${where}/listenerPath`,
    phrase: "unable to init seccomp",
    fd: register,
    path: draft.path(listenerPath),
    // ContainerProcessState of the runtime-spec (config-linux.md "The Container Process State")
    state: lateText(
      {
        ociVersion: runtimeSpecVersion,
        fds: ["seccompFd"],
        ...(listenerMetadata === undefined ? {} : { metadata: listenerMetadata }),
      },
      { pid: "@PID@", state: stateOf(draft) },
    ),
  });
}
