/**
 * Specs of the Container Device Interface (cncf-tags/container-device-interface, SPEC.md 1.0): how devices with names
 * such as `vendor.com/gpu=0` come into a container. They lie on the host and are its administrator's, but they are
 * files that tools generate: what has not the form is refused.
 */
import {
  array,
  type Decoded,
  integer,
  object,
  oneOf,
  optional,
  pattern,
  record,
  string,
} from "../base/decode.ts";
import { hookKinds } from "./runtime-hooks.ts";

const absolute = pattern(/^\//, "an absolute path");
const id = integer(0, 0xfffffffe);

const deviceNode = object({
  path: absolute,
  hostPath: optional(absolute),
  type: optional(oneOf("b", "c", "u", "p", "")),
  major: optional(integer(0, 0xfff)),
  minor: optional(integer(0, 0xfffff)),
  fileMode: optional(integer(0, 0xffff)),
  permissions: optional(pattern(/^[rwm]{0,3}$/, "made of r, w and m")),
  uid: optional(id),
  gid: optional(id),
});

const hook = object({
  hookName: oneOf(...hookKinds),
  path: absolute,
  args: optional(array(string, 1000)),
  env: optional(array(string, 1000)),
  timeout: optional(integer(0, 1_000_000)),
});

const mount = object({
  hostPath: absolute,
  containerPath: absolute,
  options: optional(array(string, 100)),
  type: optional(string),
});

const containerEdits = object({
  env: optional(array(pattern(/^[^=]+=/, "NAME=value"), 1000)),
  deviceNodes: optional(array(deviceNode, 1000)),
  hooks: optional(array(hook, 100)),
  mounts: optional(array(mount, 1000)),
  additionalGids: optional(array(id, 1000)),
});

const deviceName = pattern(/^[a-zA-Z0-9]([a-zA-Z0-9_.:-]*[a-zA-Z0-9])?$/, "the name of a CDI device");

export const cdiSpec = object({
  cdiVersion: pattern(/^\d+\.\d+\.\d+$/, "a version"),
  kind: pattern(
    /^[a-zA-Z]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?\/[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$/,
    "vendor/class of CDI devices",
  ),
  annotations: optional(record(string, 1000)),
  devices: array(
    object({
      name: deviceName,
      annotations: optional(record(string, 1000)),
      containerEdits,
    }),
    10_000,
  ),
  containerEdits: optional(containerEdits),
});

export type CdiSpec = Decoded<typeof cdiSpec>;
export type CdiContainerEdits = Decoded<typeof containerEdits>;
export type CdiDeviceNode = Decoded<typeof deviceNode>;

/** Whether a text names a CDI device and no path. */
export function isCdiName(text: string): boolean {
  return /^[a-zA-Z][a-zA-Z0-9_.-]*\/[a-zA-Z][a-zA-Z0-9_-]*=[a-zA-Z0-9][a-zA-Z0-9_.:-]*$/.test(text);
}
