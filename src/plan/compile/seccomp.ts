/** `linux.seccomp` -> the filter, which load-filter.ts has loaded. */
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { compileSeccomp, type SeccompFilter, unknownSeccompNames } from "../../linux/seccomp/compile.ts";
import type { RuntimeSeccomp } from "../../spec/runtime-seccomp.ts";
import { needsFilter } from "./needs-filter.ts";
import type { PlanRequest } from "./request.ts";

const native = { x64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64" } as const;
const where = "/linux/seccomp";

export function compileFilter(request: Omit<PlanRequest, "filter">): SeccompFilter | undefined {
  const seccomp = request.config.linux?.seccomp;
  if (!needsFilter(seccomp)) return undefined;
  let filter: SeccompFilter;
  try {
    filter = compileSeccomp(seccomp, { native: native[request.facts.architecture] });
  } catch (error) {
    if (!(error instanceof GantryError)) throw error;
    refuse(where, error.message, error.detail);
  }
  warnOfUnknownNames(request, seccomp);
  return filter;
}

/** Costs a walk over all names, and profiles name the calls of every architecture: only for who asks. */
function warnOfUnknownNames(
  { warn, verbose, facts }: Omit<PlanRequest, "filter">,
  seccomp: RuntimeSeccomp,
): void {
  if (!warn || !verbose) return;
  const names = unknownSeccompNames(seccomp, native[facts.architecture]);
  if (names.length > 0)
    warn(`system calls that do not exist here are passed over: ${names.join(", ")}`, `${where}/syscalls`);
}

/** A request with its policy compiled. */
export function withFilter<R extends PlanRequest>(request: Omit<R, "filter">): R {
  return { ...request, filter: compileFilter(request as Omit<PlanRequest, "filter">) } as R;
}
