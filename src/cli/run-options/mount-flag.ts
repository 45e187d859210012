/** `--mount`: docker's long way to write a mount, with its words for what is wrong. */
import { isAbsolute, resolve } from "node:path";
import type { MountOption, MountPropagation, VolumeMountOption } from "../../bundle/container-options.ts";
import { parseMemory } from "../format/units.ts";
import { propagations, target } from "./mounts.ts";

/** The fields of one CSV line (RFC 4180). */
export function splitCsv(text: string): readonly string[] {
  const fields: string[] = [];
  const form = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = form.exec(text);
    if (!match) throw new Error("parse error: bare or unclosed quote in a field");
    fields.push(match[1] === undefined ? match[2]! : match[1].replaceAll('""', '"'));
    if (match[3] === "") return fields;
  }
}

/** Go's strconv.ParseBool; a name alone is true. */
function truth(key: string, value: string | undefined): boolean {
  if (value === undefined || /^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw new Error(`invalid value for ${key}: ${value}`);
}

interface Fields {
  type: string;
  source: string | undefined;
  target: string | undefined;
  readOnly: boolean;
  propagation: MountPropagation | undefined;
  nonRecursive: boolean;
  /** bind-recursive=writable and =readonly. */
  depth: "writable" | "readonly" | undefined;
  volume: { noCopy?: boolean; subpath?: string; driver?: string };
  volumeOptions: Record<string, string>;
  volumeLabels: Record<string, string>;
  imageSubpath: string | undefined;
  tmpfs: string[];
  /** Groups of keys that were given: "bind", "volume", "image", "tmpfs". */
  groups: Set<string>;
}

function pairOf(value: string): readonly [string, string] {
  const equals = value.indexOf("=");
  return equals < 0 ? [value, ""] : [value.slice(0, equals), value.slice(equals + 1)];
}

const bare: readonly string[] = ["readonly", "ro", "volume-nocopy", "bind-nonrecursive"];

function readRecursive(fields: Fields, value: string): void {
  const known = ["enabled", "disabled", "writable", "readonly"];
  if (!known.includes(value))
    throw new Error(
      `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    );
  fields.nonRecursive = value === "disabled";
  fields.depth = value === "writable" || value === "readonly" ? value : undefined;
}

function readField(fields: Fields, field: string): void {
  const equals = field.indexOf("=");
  const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
  const given = equals < 0 ? undefined : field.slice(equals + 1);
  if (given === undefined && !bare.includes(key))
    throw new Error(`invalid field '${field}' must be a key=value pair`);
  const value = given ?? "";
  const group = /^(bind|volume|image|tmpfs)-/.exec(key)?.[1];
  if (group) fields.groups.add(group);
  switch (key) {
    case "type":
      fields.type = value.toLowerCase();
      return;
    case "source":
    case "src":
      fields.source = value;
      return;
    case "target":
    case "dst":
    case "destination":
      fields.target = value;
      return;
    case "readonly":
    case "ro":
      fields.readOnly = truth(key, given);
      return;
    case "consistency":
      return;
    case "bind-propagation":
      fields.propagation = value.toLowerCase() as MountPropagation;
      return;
    case "bind-nonrecursive":
      fields.nonRecursive = truth(key, given);
      return;
    case "bind-recursive":
      readRecursive(fields, value);
      return;
    case "volume-nocopy":
      fields.volume.noCopy = truth(key, given);
      return;
    case "volume-subpath":
      fields.volume.subpath = value;
      return;
    case "volume-driver":
      fields.volume.driver = value;
      return;
    case "volume-opt":
    case "volume-label": {
      const [name, text] = pairOf(value);
      if (name !== "") (key === "volume-opt" ? fields.volumeOptions : fields.volumeLabels)[name] = text;
      return;
    }
    case "image-subpath":
      fields.imageSubpath = value;
      return;
    case "tmpfs-size":
      fields.tmpfs.push(`size=${sizeOf(value)}`);
      return;
    case "tmpfs-mode":
      if (!/^[0-7]{1,11}$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
      if (Number.parseInt(value, 8) !== 0) fields.tmpfs.push(`mode=${Number.parseInt(value, 8).toString(8)}`);
      return;
    default:
      throw new Error(`unexpected key '${key}' in '${field}'`);
  }
}

function sizeOf(value: string): number {
  try {
    return parseMemory(value);
  } catch {
    throw new Error(`invalid value for tmpfs-size: ${value}`);
  }
}

/** `type=bind|volume|tmpfs|image,source=…,target=…,…`. */
export function parseMount(text: string, cwd = process.cwd()): MountOption {
  if (text === "") throw new Error("EOF");
  const fields: Fields = {
    ...{ type: "volume", source: undefined, target: undefined, readOnly: false, propagation: undefined },
    ...{ nonRecursive: false, depth: undefined, volume: {}, volumeOptions: {}, volumeLabels: {} },
    ...{ imageSubpath: undefined, tmpfs: [], groups: new Set<string>() },
  };
  for (const field of splitCsv(text)) readField(fields, field);
  const { type } = fields;
  if (type === "") throw new Error("type is required");
  if (fields.target === undefined || fields.target === "") throw new Error("target is required");
  for (const group of fields.groups)
    if (group !== type) throw new Error(`cannot mix '${group}-*' options with mount type '${type}'`);
  const wrong = (reason: string): never => {
    throw new Error(`invalid mount config for type ${JSON.stringify(type)}: ${reason}`);
  };
  const place = target(fields.target, text);
  switch (type) {
    case "bind":
      return bindOf(fields, place, cwd, wrong);
    case "volume":
      return volumeOf(fields, place, wrong);
    case "tmpfs":
      if (fields.source) wrong("field Source must not be specified");
      return { kind: "tmpfs", target: place, options: [...fields.tmpfs, ...(fields.readOnly ? ["ro"] : [])] };
    case "image":
      if (!fields.source) wrong("field Source must not be empty");
      return {
        kind: "image",
        source: fields.source!,
        target: place,
        ...(fields.imageSubpath ? { subpath: subpathOf(fields.imageSubpath, "image", wrong) } : {}),
      };
    default:
      return wrong("mount type unknown");
  }
}

function bindOf(fields: Fields, place: string, cwd: string, wrong: (reason: string) => never): MountOption {
  const { source = "", readOnly, propagation, nonRecursive, depth } = fields;
  if (depth && !readOnly)
    throw new Error(`option 'bind-recursive=${depth}' requires 'readonly' to be specified in conjunction`);
  if (depth === "readonly" && propagation !== "rprivate")
    throw new Error(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
  if (source === "") wrong("field Source must not be empty");
  if (propagation && !propagations.includes(propagation)) wrong(`invalid propagation mode: ${propagation}`);
  const path = source === "." || source.startsWith("./") ? resolve(cwd, source) : source;
  if (!isAbsolute(path)) wrong(`invalid mount path: '${path}' mount path must be absolute`);
  return {
    kind: "bind",
    source: resolve(path),
    target: place,
    readOnly,
    ...(propagation ? { propagation } : {}),
    ...(nonRecursive ? { nonRecursive } : {}),
    ...(depth === "writable" ? { readOnlyDepth: "top" as const } : {}),
    createSource: false,
  };
}

function volumeOf(fields: Fields, place: string, wrong: (reason: string) => never): VolumeMountOption {
  const { source, readOnly, volume, volumeOptions, volumeLabels } = fields;
  if (!source && readOnly) wrong("must not set ReadOnly mode when using anonymous volumes");
  if (!source && volume.subpath) wrong("must not set Subpath when using anonymous volumes");
  return {
    kind: "volume",
    ...(source ? { source } : {}),
    target: place,
    ...(readOnly ? { readOnly } : {}),
    ...(volume.noCopy ? { noCopy: true } : {}),
    ...(volume.subpath ? { subpath: subpathOf(volume.subpath, "volume", wrong) } : {}),
    ...(volume.driver ? { driver: volume.driver } : {}),
    ...(Object.keys(volumeOptions).length > 0 ? { driverOptions: volumeOptions } : {}),
    ...(Object.keys(volumeLabels).length > 0 ? { labels: volumeLabels } : {}),
  };
}

function subpathOf(path: string, what: string, wrong: (reason: string) => never): string {
  if (isAbsolute(path) || path.split("/").includes(".."))
    wrong(`subpath must be a relative path within the ${what}`);
  return path;
}
