/** Volumes as docker lists, filters and inspects them. Pure. */
import { GantryError } from "../base/error.ts";
import type { Volume } from "../engine/volumes/volumes.ts";
import type { Column } from "./format/table.ts";
import { asMap } from "./format/template.ts";
import { groupFilters } from "./group-filters.ts";

export const volumeColumns: readonly Column<Volume>[] = [
  { name: "Name", heading: "VOLUME NAME", value: ({ name }) => name },
  { name: "Driver", heading: "DRIVER", value: ({ driver }) => driver },
  { name: "Scope", heading: "SCOPE", value: () => "local" },
  { name: "Mountpoint", heading: "MOUNTPOINT", value: ({ mountpoint }) => mountpoint },
  {
    name: "Labels",
    heading: "LABELS",
    value: ({ labels }) =>
      Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(","),
  },
  { name: "Links", heading: "LINKS", value: () => "N/A" },
  { name: "Size", heading: "SIZE", value: () => "N/A" },
  { name: "Group", heading: "GROUP", value: () => "N/A" },
  { name: "Availability", heading: "AVAILABILITY", value: () => "N/A" },
  { name: "Status", heading: "STATUS", value: () => "N/A" },
];

/** `.Label "key"`. */
export const volumeLabelMethod = {
  Label: { heading: "LABEL", call: (volume: Volume, name: unknown) => volume.labels[String(name)] ?? "" },
};

/** `volume inspect`. */
export function inspectVolumeView({ name, driver, createdAt, labels, options, mountpoint }: Volume) {
  const orNull = (map: Readonly<Record<string, string>>) => (Object.keys(map).length > 0 ? asMap(map) : null);
  return {
    CreatedAt: createdAt.replace(/\.\d+Z$/, "Z"),
    Driver: driver,
    Labels: orNull(labels),
    Mountpoint: mountpoint,
    Name: name,
    Options: orNull(options),
    Scope: "local",
  };
}

type Test = (volume: Volume) => boolean;

function truth(key: string, value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new GantryError("invalid-argument", `invalid filter '${key}=[${value}]'`);
}

function labelTest(value: string): Test {
  const equals = value.indexOf("=");
  const name = equals < 0 ? value : value.slice(0, equals);
  return ({ labels }) =>
    Object.hasOwn(labels, name) && (equals < 0 || labels[name] === value.slice(equals + 1));
}

/** `--filter` of `volume ls`. */
export function matchesVolume(filters: readonly string[]): Test {
  return groupFilters(filters, (key, value) => {
    switch (key) {
      case "dangling": {
        const dangling = truth(key, value);
        return ({ usedBy }) => (usedBy.length === 0) === dangling;
      }
      case "driver":
        return ({ driver }) => driver === value;
      case "name":
        return ({ name }) => name.includes(value);
      case "label":
        return labelTest(value);
      default:
        throw new GantryError("invalid-argument", `invalid filter '${key}'`);
    }
  });
}

/** `--filter` of `volume prune`: which volumes, and whether also those that have a name. */
export function prunedVolumes(filters: readonly string[]): { readonly all: boolean; readonly matches: Test } {
  let all = false;
  const matches = groupFilters<Volume>(filters, (key, value) => {
    switch (key) {
      case "all":
        all = truth(key, value);
        return () => true;
      case "label":
        return labelTest(value);
      case "label!": {
        const has = labelTest(value);
        return (volume) => !has(volume);
      }
      default:
        throw new GantryError("invalid-argument", `invalid filter '${key}'`);
    }
  });
  return { all, matches };
}
