/** The CDI specs of this machine: which devices they know, and what comes with them. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { decodeJson } from "../base/decode.ts";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import type { CdiEdits } from "../bundle/cdi.ts";
import type { FoundDevice } from "../bundle/devices.ts";
import { type CdiContainerEdits, type CdiDeviceNode, type CdiSpec, cdiSpec } from "../spec/cdi.ts";
import { parseYaml } from "../spec/yaml.ts";
import { findDevices } from "./host-devices.ts";

/** What lies in a later one counts before what lies in an earlier (SPEC.md, "CDI JSON Specification"). */
const specFolders = ["/etc/cdi", "/var/run/cdi"];
const specLimitBytes = 1024 * 1024;
const specLimit = 1000;

interface KnownDevice {
  readonly spec: CdiSpec;
  readonly edits: CdiContainerEdits;
  readonly folder: number;
  readonly path: string;
}

/** The folders of GANTRY_CDI_DIRS, divided by colons, take the place of the two. */
function folders(): readonly string[] {
  return process.env.GANTRY_CDI_DIRS?.split(":") ?? specFolders;
}

function readSpec(path: string): CdiSpec {
  try {
    if (statSync(path).size > specLimitBytes)
      throw new GantryError(
        "resource-exhausted",
        `read CDI spec "${path}": more than ${specLimitBytes} bytes`,
      );
    const text = readFileSync(path, "utf8");
    if (path.endsWith(".json")) return decodeJson(text, cdiSpec, `CDI spec "${path}"`, specLimitBytes);
    return cdiSpec(parseYaml(text, `CDI spec "${path}"`), "");
  } catch (error) {
    const wrapped = wrapErrno(error, "read CDI spec", path);
    if (!(wrapped instanceof GantryError) || wrapped.message.includes(path)) throw wrapped;
    throw new GantryError(wrapped.code, `read CDI spec "${path}": ${wrapped.message}`, {
      detail: wrapped.detail,
      cause: error,
    });
  }
}

function specFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /\.(json|yaml)$/.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw wrapErrno(error, "read CDI specs", folder);
  }
}

/** Every device by its name; two of one folder that have the same name are none. */
function knownDevices(): { devices: ReadonlyMap<string, KnownDevice>; broken: readonly unknown[] } {
  const devices = new Map<string, KnownDevice>();
  const doubled = new Set<string>();
  const broken: unknown[] = [];
  for (const [folder, place] of folders().entries())
    for (const path of specFiles(place).slice(0, specLimit)) {
      let spec: CdiSpec;
      try {
        spec = readSpec(path);
      } catch (error) {
        // one bad file takes no devices of others away
        broken.push(error);
        continue;
      }
      for (const { name, containerEdits } of spec.devices) {
        const full = `${spec.kind}=${name}`;
        const known = devices.get(full);
        if (known?.folder === folder) doubled.add(full);
        else doubled.delete(full);
        devices.set(full, { spec, edits: containerEdits, folder, path });
      }
    }
  for (const name of doubled) devices.delete(name);
  return { devices, broken };
}

/** What the devices of these names bring; that of a whole spec comes once, and first. */
export function findCdiDevices(names: readonly string[]): readonly CdiEdits[] {
  const { devices, broken } = knownDevices();
  const missing = names.filter((name) => !devices.has(name));
  if (missing.length > 0)
    throw new GantryError(
      "not-found",
      `CDI device injection failed: unresolvable CDI devices ${missing.join(", ")}`,
      { detail: { devices: missing }, ...(broken.length > 0 ? { cause: broken[0] } : {}) },
    );
  const specs = new Set<CdiSpec>();
  return [...new Set(names)].flatMap((name) => {
    const { spec, edits } = devices.get(name)!;
    const whole = specs.has(spec) || !spec.containerEdits ? [] : [completed(spec.containerEdits)];
    specs.add(spec);
    return [...whole, completed(edits)];
  });
}

function completed({ deviceNodes = [], ...edits }: CdiContainerEdits): CdiEdits {
  return { ...edits, devices: deviceNodes.map(deviceOf) };
}

/** What the spec does not say of a node is that of the host. */
function deviceOf(node: CdiDeviceNode): FoundDevice {
  const { path, hostPath = path, type, major, minor, fileMode, uid, gid, permissions } = node;
  const whole = type && (type === "p" || (major !== undefined && minor !== undefined));
  const found = whole ? undefined : findDevices({ hostPath, containerPath: path })[0]?.device;
  const device = {
    ...(found ?? { path, type: "c" as const }),
    path,
    ...(type ? { type } : {}),
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    ...(fileMode === undefined ? {} : { fileMode: fileMode & 0o7777 }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
  return { device, permissions: permissions || "rwm" };
}

const gpuKinds = ["nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu"];

/** The names of GPUs: all there are, the first so many, or those given; of the first vendor who has any. */
export function gpuNames(wanted: "all" | number | readonly string[]): readonly string[] {
  const known = [...knownDevices().devices.keys()];
  const kind = gpuKinds.find((one) => known.some((name) => name.startsWith(`${one}=`))) ?? gpuKinds[0]!;
  if (wanted === "all") {
    if (known.includes(`${kind}=all`)) return [`${kind}=all`];
    const each = known.filter((name) => name.startsWith(`${kind}=`));
    return each.length > 0 ? each.sort() : [`${kind}=all`];
  }
  const names =
    typeof wanted === "number" ? Array.from({ length: wanted }, (_, index) => String(index)) : wanted;
  return names.map((name) => `${kind}=${name}`);
}
