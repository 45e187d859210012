/** `--filter` of `pod ps`. Pure. */
import { GantryError } from "../base/error.ts";
import { parseTime } from "./format/units.ts";
import { groupFilters } from "./group-filters.ts";
import { podStatusText } from "./inspect-pod.ts";
import type { PodRow } from "./pod-columns.ts";

type Test = (pod: PodRow) => boolean;

/** What all of `filters` ask. */
export function matchesPod(filters: readonly string[]): Test {
  return groupFilters(filters, testOf);
}

function invalid(filter: string): GantryError {
  return new GantryError("invalid-argument", `invalid filter '${filter}'`);
}

function testOf(key: string, value: string): Test {
  const some = (test: (container: PodRow["containers"][number]) => boolean) => (pod: PodRow) =>
    pod.containers.some(test);
  switch (key) {
    case "id":
      return ({ record }) => record.id.startsWith(value);
    case "name":
      return nameTest(value);
    case "status":
      if (!["stopped", "running", "paused", "exited", "dead", "created", "degraded"].includes(value))
        throw invalid(`status=${value}`);
      return (pod) => podStatusText(pod).toLowerCase() === (value === "stopped" ? "exited" : value);
    case "label": {
      const equals = value.indexOf("=");
      if (equals < 0) return ({ record }) => Object.hasOwn(record.labels, value);
      return ({ record }) => record.labels[value.slice(0, equals)] === value.slice(equals + 1);
    }
    case "ctr-ids":
      return some(({ id }) => id.startsWith(value));
    case "ctr-names":
      return some(({ name }) => name === value);
    case "ctr-status":
      return some(({ status }) => status === value);
    case "ctr-number":
      if (!/^\d+$/.test(value)) throw invalid(`ctr-number=${value}`);
      return ({ containers }) => containers.length === Number(value);
    case "until": {
      const until = parseTime(value).getTime();
      return ({ record }) => Date.parse(record.createdAt) < until;
    }
    default:
      throw invalid(key);
  }
}

/** podman's name filter is a regular expression, which a plain part of the name is too. */
function nameTest(value: string): Test {
  let pattern: RegExp;
  try {
    pattern = new RegExp(value);
  } catch {
    throw invalid(`name=${value}`);
  }
  return ({ record }) => pattern.test(record.name);
}
