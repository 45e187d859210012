/** What is spared when much is removed. Pure. */

export interface PruneFilter {
  /** Only what was made before. */
  readonly until?: Date | undefined;
  /** Only what has every one of these labels; with `not` what has none of them. */
  readonly labels?:
    | readonly {
        readonly key: string;
        readonly value?: string | undefined;
        readonly not?: boolean | undefined;
      }[]
    | undefined;
}

export function isPruned(
  { until, labels = [] }: PruneFilter,
  thing: { readonly createdAt: string; readonly labels: Readonly<Record<string, string>> },
): boolean {
  // what does not say when it was made is old
  if (until !== undefined && Date.parse(thing.createdAt) >= until.getTime()) return false;
  return labels.every(({ key, value, not = false }) => {
    const has = Object.hasOwn(thing.labels, key) && (value === undefined || thing.labels[key] === value);
    return has !== not;
  });
}
