/** `--filter` of the prune commands. Pure. */
import { GantryError } from "../base/error.ts";
import type { PruneFilter } from "../engine/system/prune-filter.ts";
import { parseTime } from "./format/units.ts";
import { list, UsageError } from "./options.ts";

export const pruneFilterOption = list(
  "Provide filter values: until=<timestamp>, label=KEY[=VALUE], label!=KEY[=VALUE]",
  {
    value: "filter",
  },
);

/** `more` takes what else the command knows; false for what it does not. */
export function parsePruneFilter(
  filters: readonly string[],
  more: (key: string, value: string) => boolean = () => false,
): PruneFilter {
  let until: Date | undefined;
  const labels: { key: string; value?: string; not: boolean }[] = [];
  for (const filter of filters) {
    const match = /^([a-z-]+)(!?)=(.*)$/s.exec(filter);
    if (!match)
      throw new UsageError(
        `invalid argument ${JSON.stringify(filter)} for "--filter" flag: bad format of filter (expected name=value)`,
      );
    const [, key, not, value] = match as unknown as [string, string, string, string];
    if (key === "until" && not === "") {
      if (until !== undefined) throw invalid("more than one until filter specified");
      until = timeOf(value);
    } else if (key === "label") {
      const equals = value.indexOf("=");
      const name = equals < 0 ? value : value.slice(0, equals);
      labels.push({ key: name, not: not === "!", ...(equals < 0 ? {} : { value: value.slice(equals + 1) }) });
    } else if (not !== "" || !more(key, value)) throw invalid(`invalid filter '${key}${not}'`);
  }
  return { labels, ...(until ? { until } : {}) };
}

function invalid(message: string): GantryError {
  return new GantryError("invalid-argument", message);
}

function timeOf(text: string): Date {
  try {
    return parseTime(text);
  } catch (error) {
    throw invalid((error as Error).message);
  }
}
