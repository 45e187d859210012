/**
 * Device nodes: those that every container has (runtime-spec, config-linux.md "Default Devices") and
 * those of `linux.devices`. In a user namespace mknod is not allowed, so the host's nodes are bound.
 */
import { refuse } from "../../base/decode.ts";
import { defaultDeviceLinks, defaultDevices } from "../../linux/devices.ts";
import type { RuntimeDevice } from "../../spec/runtime-linux.ts";
import type { Step } from "../plan.ts";
import { type Draft, rootRegister } from "./draft.ts";
import type { NamespacePlan } from "./namespaces.ts";
import { mayMountOnHost } from "./rootless.ts";

/** S_IFMT bits. */
const typeBits = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 } as const;

/** Beside the links of the specification runc makes this one where the host has /proc/kcore. */
const links: Readonly<Record<string, string>> = { ...defaultDeviceLinks, "/dev/core": "/proc/kcore" };

interface PlacedDevice {
  readonly device: RuntimeDevice;
  readonly where: string;
}

/** The devices of the container; one of the config stands in for a default one of the same path. */
function devicesOf(draft: Draft): readonly PlacedDevice[] {
  const asked = draft.linux.devices ?? [];
  const placed = new Map<string, PlacedDevice>();
  for (const device of defaultDevices) placed.set(device.path, { device, where: "" });
  for (const [index, device] of asked.entries()) {
    const where = `/linux/devices/${index}`;
    if (device.type !== "p" && (device.major === undefined || device.minor === undefined))
      refuse(where, `${device.path} needs a major and a minor number`);
    // the instance of devpts in the container takes the place of the host's /dev/ptmx, as with runc
    if (device.path !== "/dev/ptmx") placed.set(device.path, { device, where });
  }
  return [...placed.values()];
}

/** A /dev that comes from the host is left as it is. */
export function makesDevices(draft: Draft): boolean {
  return !(draft.config.mounts ?? []).some(
    ({ destination, type, options = [] }) =>
      /^\/?dev\/*$/.test(destination) &&
      (type === "bind" || options.includes("bind") || options.includes("rbind")),
  );
}

function bindsNodes(draft: Draft, namespaces: NamespacePlan): boolean {
  return namespaces.private.has("user") || draft.facts.inUserNamespace;
}

function openNode(list: Step[], { device, where }: PlacedDevice): void {
  const { path } = device;
  list.push({ op: "clone-tree", where, path, recursive: 0, fd: registerOf(device) });
}

function registerOf({ path }: RuntimeDevice): string {
  return `device ${path}`;
}

/** Before the clone: the host's nodes, where they are to be bound and this side may open them; else the child does. */
export function openDevices(draft: Draft, namespaces: NamespacePlan): void {
  if (!makesDevices(draft) || !bindsNodes(draft, namespaces) || !mayMountOnHost(draft.facts)) return;
  for (const placed of devicesOf(draft)) if (placed.device.type !== "p") openNode(draft.host, placed);
}

/** In the child: nodes and links. */
export function makeDevices(draft: Draft, namespaces: NamespacePlan): void {
  if (!makesDevices(draft)) return;
  for (const placed of devicesOf(draft)) {
    const { device, where } = placed;
    const { type, path, major = 0, minor = 0, fileMode = 0o666, uid = 0, gid = 0 } = device;
    const phrase = `error creating device nodes: ${path}`;
    if (bindsNodes(draft, namespaces) && type !== "p") {
      const mount = registerOf(device);
      if (!mayMountOnHost(draft.facts)) openNode(draft.child, placed);
      draft.child.push({ op: "attach-mount", where, phrase, mount, root: rootRegister, path, options: 0 });
      draft.child.push({ op: "close", where, fd: mount });
    } else
      draft.child.push({
        op: "make-device",
        where,
        phrase,
        root: rootRegister,
        path,
        type: typeBits[type],
        major,
        minor,
        mode: fileMode & 0o7777,
        uid,
        gid,
      });
  }
  for (const [path, target] of Object.entries(links))
    draft.child.push({
      op: "make-symlink-in-root",
      where: "",
      phrase: `error symlinking ${target} ${path}`,
      root: rootRegister,
      path,
      target,
    });
}
