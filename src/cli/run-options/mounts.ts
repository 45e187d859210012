/** `-v`, `--mount` and `--tmpfs`: docker's three ways to write a mount. Pure but for the client's working directory. */
import { isAbsolute, resolve } from "node:path";
import type { MountOption, MountPropagation, TmpfsMountOption } from "../../bundle/container-options.ts";
import { parseMemory } from "../format/units.ts";

const propagations: readonly string[] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

function target(path: string, whole: string): string {
  if (!isAbsolute(path)) throw new Error(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = resolve("/", path);
  if (clean === "/") throw new Error(`invalid specification: destination can't be '/' in '${whole}'`);
  return clean;
}

const noVolumes = "volumes are not available yet: give a host path, as in -v /host/path:/path";

/** `-v /host:/path[:options]`. */
export function parseVolume(text: string, cwd = process.cwd()): MountOption {
  const parts = text.split(":");
  if (parts.length > 3 || parts.some((part) => part === ""))
    throw new Error(`invalid volume specification: '${text}'`);
  const [source, path, options] = parts as [string, string | undefined, string | undefined];
  if (path === undefined) throw new Error(`"${text}": anonymous ${noVolumes}`);
  if (!isAbsolute(source) && !/^\.{1,2}(\/|$)/.test(source))
    throw new Error(`"${source}": named ${noVolumes}`);
  let readOnly = false;
  let propagation: MountPropagation | undefined;
  for (const option of options?.split(",") ?? []) {
    if (option === "ro" || option === "readonly") readOnly = true;
    else if (propagations.includes(option)) propagation = option as MountPropagation;
    // SELinux labels and Docker Desktop's hints have no meaning here, and every script that gives them runs on
    else if (!["rw", "z", "Z", "nocopy", "consistent", "cached", "delegated"].includes(option))
      throw new Error(`invalid mode: ${option}`);
  }
  return {
    kind: "bind",
    source: resolve(cwd, source),
    target: target(path, text),
    readOnly,
    ...(propagation ? { propagation } : {}),
    createSource: true,
  };
}

/** `/path[:size=64m,mode=1770]`. */
export function parseTmpfs(text: string): TmpfsMountOption {
  const colon = text.indexOf(":");
  const path = colon < 0 ? text : text.slice(0, colon);
  const options =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(",")
          .filter(Boolean);
  return { kind: "tmpfs", target: target(path, text), options };
}

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

function truth(key: string, value: string | undefined): boolean {
  if (value === undefined || /^(true|1|t)$/i.test(value)) return true;
  if (/^(false|0|f)$/i.test(value)) return false;
  throw new Error(`invalid value for ${key}: ${value}`);
}

/** `type=bind,source=/host,target=/path[,readonly][,bind-propagation=rslave]` or `type=tmpfs,target=/path,…`. */
export function parseMount(text: string, cwd = process.cwd()): MountOption {
  let type = "volume";
  let source: string | undefined;
  let path: string | undefined;
  let readOnly = false;
  let nonRecursive = false;
  let propagation: MountPropagation | undefined;
  const tmpfs: string[] = [];
  for (const field of splitCsv(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals < 0 ? undefined : field.slice(equals + 1);
    if (value === undefined && !["readonly", "ro", "bind-nonrecursive"].includes(key))
      throw new Error(`invalid field '${field}' must be a key=value pair`);
    switch (key) {
      case "type":
        type = value!.toLowerCase();
        break;
      case "source":
      case "src":
        source = value;
        break;
      case "target":
      case "dst":
      case "destination":
        path = value;
        break;
      case "readonly":
      case "ro":
        readOnly = truth(key, value);
        break;
      case "bind-nonrecursive":
        nonRecursive = truth(key, value);
        break;
      case "bind-recursive":
        if (!["enabled", "disabled"].includes(value!)) throw new Error(`invalid value for ${key}: ${value}`);
        nonRecursive = value === "disabled";
        break;
      case "bind-propagation":
        if (!propagations.includes(value!)) throw new Error(`invalid value for ${key}: ${value}`);
        propagation = value as MountPropagation;
        break;
      case "tmpfs-size":
        tmpfs.push(`size=${parseMemory(value!)}`);
        break;
      case "tmpfs-mode":
        if (!/^[0-7]{1,5}$/.test(value!)) throw new Error(`invalid value for ${key}: ${value}`);
        tmpfs.push(`mode=${value}`);
        break;
      case "consistency":
        break;
      default:
        throw new Error(`unexpected key '${key}' in '${field}'`);
    }
  }
  if (path === undefined) throw new Error("target is required");
  if (type === "tmpfs") {
    if (source !== undefined) throw new Error("cannot set a source for a tmpfs mount");
    return { kind: "tmpfs", target: target(path, text), options: [...tmpfs, ...(readOnly ? ["ro"] : [])] };
  }
  if (type !== "bind")
    throw new Error(type === "volume" ? `named ${noVolumes}` : `mount type "${type}" is not available`);
  if (tmpfs.length > 0) throw new Error("cannot mix 'tmpfs-*' options with mount type 'bind'");
  if (source === undefined) throw new Error("field Source must not be empty");
  return {
    kind: "bind",
    source: resolve(cwd, source),
    target: target(path, text),
    readOnly,
    ...(propagation ? { propagation } : {}),
    ...(nonRecursive ? { nonRecursive } : {}),
    createSource: false,
  };
}
