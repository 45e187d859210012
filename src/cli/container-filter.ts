/** `--filter` of `ps`. Pure. */
import type { ContainerSummary } from "../engine/containers/list.ts";
import { UsageError } from "./options.ts";

type Test = (container: ContainerSummary) => boolean;

/** What all of `filters` ask: several values of one key mean any of them, labels mean all of them. */
export function matchesContainer(filters: readonly string[], all: readonly ContainerSummary[]): Test {
  const tests = new Map<string, Test[]>();
  for (const filter of filters) {
    const equals = filter.indexOf("=");
    if (equals < 1)
      throw new UsageError(
        `invalid argument ${JSON.stringify(filter)} for "-f, --filter" flag: bad format of filter (expected name=value)`,
      );
    const key = filter.slice(0, equals).toLowerCase();
    const test = testOf(key, filter.slice(equals + 1), all);
    // every label counts by itself
    const group = key === "label" ? filter : key;
    tests.set(group, [...(tests.get(group) ?? []), test]);
  }
  return (container) => [...tests.values()].every((some) => some.some((test) => test(container)));
}

function testOf(key: string, value: string, all: readonly ContainerSummary[]): Test {
  switch (key) {
    case "id":
      return ({ id }) => id.startsWith(value);
    case "name":
      return nameTest(value);
    case "status":
      if (!["created", "restarting", "running", "removing", "paused", "exited", "dead"].includes(value))
        throw new UsageError(`invalid filter 'status=${value}'`);
      return ({ status }) => status === value;
    case "ancestor":
      return ({ image, imageId }) =>
        image === value ||
        image === `${value}:latest` ||
        imageId === value ||
        imageId.startsWith(`sha256:${value}`);
    case "label": {
      const equals = value.indexOf("=");
      if (equals < 0) return ({ labels }) => Object.hasOwn(labels, value);
      return ({ labels }) => labels[value.slice(0, equals)] === value.slice(equals + 1);
    }
    case "exited": {
      const code = Number(value);
      if (!/^\d+$/.test(value)) throw new UsageError(`invalid filter 'exited=${value}'`);
      return ({ status, exitCode }) => status === "exited" && exitCode === code;
    }
    case "before":
    case "since": {
      const other = all.find(({ id, name }) => name === value || id.startsWith(value));
      if (!other) throw new UsageError(`No such container: ${value}`);
      return ({ createdAt }) =>
        key === "before" ? createdAt < other.createdAt : createdAt > other.createdAt;
    }
    default:
      throw new UsageError(`invalid filter '${key}'`);
  }
}

/** Docker's name filter is a regular expression, which a plain part of the name is too. */
function nameTest(value: string): Test {
  let pattern: RegExp;
  try {
    pattern = new RegExp(value.replace(/^\^?\/?/, (start) => (start.startsWith("^") ? "^" : "")));
  } catch {
    throw new UsageError(`invalid filter 'name=${value}'`);
  }
  return ({ name }) => pattern.test(name);
}
