/** How docker's filters `KEY=VALUE` come together. Pure. */
import { UsageError } from "./options.ts";

/** One test of several: values of one key are alternatives, every label counts by itself. */
export function groupFilters<T>(
  filters: readonly string[],
  testOf: (key: string, value: string) => (item: T) => boolean,
): (item: T) => boolean {
  const groups = new Map<string, ((item: T) => boolean)[]>();
  for (const filter of filters) {
    const equals = filter.indexOf("=");
    if (equals < 1)
      throw new UsageError(
        `invalid argument ${JSON.stringify(filter)} for "-f, --filter" flag: bad format of filter (expected name=value)`,
      );
    const key = filter.slice(0, equals).toLowerCase();
    const group = key === "label" ? filter : key;
    groups.set(group, [...(groups.get(group) ?? []), testOf(key, filter.slice(equals + 1))]);
  }
  return (item) => [...groups.values()].every((some) => some.some((test) => test(item)));
}
