/** `--filter` of `events`. Pure. */
import { GantryError } from "../base/error.ts";
import type { EngineEvent } from "../engine/events.ts";
import { groupFilters } from "./group-filters.ts";

type Test = (event: EngineEvent) => boolean;

/** What all of `filters` ask. */
export function matchesEvent(filters: readonly string[]): Test {
  return groupFilters(filters, testOf);
}

function testOf(key: string, value: string): Test {
  switch (key) {
    case "type":
      return ({ kind }) => kind === value;
    case "event":
      // a status of health has its value in the action
      return ({ action }) => action === value || action.split(":")[0] === value;
    case "container":
      return ({ kind, id, attributes }) =>
        kind === "container" && (attributes.name === value || id.startsWith(value));
    case "volume":
      return ({ kind, id }) => kind === "volume" && id === value;
    case "image":
      return ({ kind, id, attributes }) => {
        const image = kind === "image" ? (attributes.name ?? id) : attributes.image;
        return image === value || image === `${value}:latest` || (kind === "image" && id === value);
      };
    case "label": {
      const equals = value.indexOf("=");
      if (equals < 0) return ({ attributes }) => Object.hasOwn(attributes, value);
      return ({ attributes }) => attributes[value.slice(0, equals)] === value.slice(equals + 1);
    }
    case "scope":
      return () => value === "local";
    // kinds that there are no events of yet, by the name or id of their object
    case "network":
    case "plugin":
    case "daemon":
    case "service":
    case "node":
    case "secret":
    case "config":
      return ({ kind, id, attributes }) =>
        (kind as string) === key && (id === value || attributes.name === value);
    default:
      throw new GantryError("invalid-argument", `invalid filter '${key}'`);
  }
}
