/** `--filter` of `images`. Pure. */
import { GantryError } from "../base/error.ts";
import { groupFilters } from "./group-filters.ts";
import type { ImageRow } from "./image-columns.ts";

type Test = (row: ImageRow) => boolean;

/** What all of `filters` ask. */
export function matchesImage(filters: readonly string[]): Test {
  return groupFilters(filters, testOf);
}

/** `*` within a path component, as docker's reference patterns. */
function glob(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", "[^/]*").replaceAll("?", "[^/]")}$`);
}

function testOf(key: string, value: string): Test {
  switch (key) {
    case "dangling":
      return ({ tag }) => (tag === "<none>") === /^(1|true|t)$/i.test(value);
    case "reference": {
      const pattern = glob(value);
      return ({ repository, tag }) => pattern.test(`${repository}:${tag}`) || pattern.test(repository);
    }
    case "label": {
      const equals = value.indexOf("=");
      const name = equals < 0 ? value : value.slice(0, equals);
      return ({ image }) => {
        const labels = image.imageConfig.config?.Labels ?? {};
        return Object.hasOwn(labels, name) && (equals < 0 || labels[name] === value.slice(equals + 1));
      };
    }
    default:
      throw new GantryError("invalid-argument", `invalid filter '${key}'`);
  }
}
