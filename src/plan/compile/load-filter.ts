/** The step that loads a seccomp filter, at the moment that the privileges of the process dictate. */
import type { SeccompFilter } from "../../linux/seccomp/compile.ts";
import type { Draft } from "./draft.ts";
import { awaitListener, handOverListener, listenerOf } from "./seccomp-listener.ts";

export function loadFilter(draft: Draft, filter: SeccompFilter): void {
  draft.child.push({
    op: "load-seccomp",
    where: "/linux/seccomp",
    phrase: "unable to init seccomp",
    flags: filter.flags,
    filter: filter.program,
    listener: listenerOf(draft, filter),
  });
  handOverListener(draft, filter);
  awaitListener(draft, filter);
}
