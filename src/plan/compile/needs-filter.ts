/** Whether a policy needs a filter at all: asked by those who do not load its compiler. */
import type { RuntimeSeccomp } from "../../spec/runtime-seccomp.ts";

/** One that lets everything run needs none. */
export function needsFilter(seccomp: RuntimeSeccomp | undefined): seccomp is RuntimeSeccomp {
  return (
    seccomp !== undefined &&
    (seccomp.defaultAction !== "SCMP_ACT_ALLOW" ||
      (seccomp.syscalls ?? []).some(({ action }) => action !== "SCMP_ACT_ALLOW"))
  );
}
