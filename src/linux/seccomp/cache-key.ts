/** By what a compiled filter is known again. */
import type { LinuxSeccomp } from "./policy.ts";

/** Counts up whenever the same policy may compile to another program. */
const seccompCompilerVersion = 1;

/**
 * A text that is the same for policies that compile to the same filter (and mostly only for them). It is the policy
 * itself, not a digest: compare all of it. Program, flags and listener are all there is to a filter.
 */
export function seccompCacheKey(policy: LinuxSeccomp, native: string): string {
  const { defaultAction, defaultErrnoRet, architectures, flags, syscalls } = policy;
  const content = [seccompCompilerVersion, native, defaultAction, defaultErrnoRet ?? null];
  const lists = [architectures ?? [], flags ?? null, syscalls ?? []];
  return JSON.stringify([content, lists], (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
}
