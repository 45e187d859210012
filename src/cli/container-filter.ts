/** `--filter` of `ps`. Pure. */
import { GantryError } from "../base/error.ts";
import type { ContainerSummary } from "../engine/containers/list.ts";
import { mountSources } from "./container-columns.ts";
import { groupFilters } from "./group-filters.ts";

type Test = (container: ContainerSummary) => boolean;

/** What all of `filters` ask. */
export function matchesContainer(filters: readonly string[], all: readonly ContainerSummary[]): Test {
  return groupFilters(filters, (key, value) => testOf(key, value, all));
}

/** In docker the daemon says so, not the command line: status 1. */
function invalid(filter: string): GantryError {
  return new GantryError("invalid-argument", `invalid filter '${filter}'`);
}

function testOf(key: string, value: string, all: readonly ContainerSummary[]): Test {
  switch (key) {
    case "id":
      return ({ id }) => id.startsWith(value);
    case "name":
      return nameTest(value);
    case "status":
      if (!["created", "restarting", "running", "removing", "paused", "exited", "dead"].includes(value))
        throw invalid(`status=${value}`);
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
      if (!/^\d+$/.test(value)) throw invalid(`exited=${value}`);
      return ({ status, exitCode }) => status === "exited" && exitCode === code;
    }
    case "before":
    case "since": {
      const other = all.find(({ id, name }) => name === value || id.startsWith(value));
      if (!other) throw new GantryError("not-found", `No such container: ${value}`);
      return ({ createdAt }) =>
        key === "before" ? createdAt < other.createdAt : createdAt > other.createdAt;
    }
    case "network":
      return ({ record }) => (record.options.network ?? "none") === value;
    case "volume":
      return ({ record }) =>
        (record.options.mounts ?? []).some(({ target }) => target === value) ||
        mountSources(record.options).includes(value);
    case "health":
      if (!["starting", "healthy", "unhealthy", "none"].includes(value)) throw invalid(`health=${value}`);
      return ({ health = "none" }) => health === value;
    default:
      throw invalid(key);
  }
}

/** Docker's name filter is a regular expression, which a plain part of the name is too. */
function nameTest(value: string): Test {
  let pattern: RegExp;
  try {
    pattern = new RegExp(value.replace(/^\^?\/?/, (start) => (start.startsWith("^") ? "^" : "")));
  } catch {
    throw invalid(`name=${value}`);
  }
  return ({ name }) => pattern.test(name);
}
