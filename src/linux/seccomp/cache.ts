/**
 * Keeps compiled filters by the content of their policy. Compiling Docker's policy takes half a
 * millisecond in a warm process and several in one that has just started, so a caller may also keep
 * filters on disk under `seccompCacheKey`: program, flags and listener are all there is to a filter.
 */
import { compileSeccomp, type SeccompFilter, type SeccompOptions } from "./compile.ts";
import type { LinuxSeccomp } from "./policy.ts";

/** Counts up whenever the same policy may compile to another program. */
export const seccompCompilerVersion = 1;

/**
 * A text that is the same for policies that compile to the same filter (and mostly only for them). It is
 * the policy itself, not a digest: compare all of it, or hash it with a cryptographic hash.
 */
export function seccompCacheKey(
  policy: LinuxSeccomp,
  { native, enosysForNewer = true }: SeccompOptions,
): string {
  const { defaultAction, defaultErrnoRet, architectures, flags, syscalls } = policy;
  const content = [seccompCompilerVersion, native, enosysForNewer, defaultAction, defaultErrnoRet ?? null];
  const lists = [architectures ?? [], flags ?? null, syscalls ?? []];
  return JSON.stringify([content, lists], (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
}

/** Remembers the filters used last. */
export class SeccompCache {
  readonly #filters = new Map<string, SeccompFilter>();
  readonly #capacity: number;

  constructor(capacity = 16) {
    this.#capacity = capacity;
  }

  /** As compileSeccomp. The filter is shared: do not write to its program. */
  compile(policy: LinuxSeccomp, options: SeccompOptions): SeccompFilter {
    const key = seccompCacheKey(policy, options);
    const known = this.#filters.get(key);
    const filter = known ?? compileSeccomp(policy, options);
    // a Map keeps the order of insertion: the least recently used comes first
    this.#filters.delete(key);
    this.#filters.set(key, filter);
    if (this.#filters.size > this.#capacity) this.#filters.delete(this.#filters.keys().next().value!);
    return filter;
  }
}
