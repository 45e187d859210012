/** `linux.netDevices`: interfaces of the host that move into the container's network namespace. */
import { at, refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { namespaces as kinds } from "../../linux/namespaces.ts";
import { holds } from "../host-facts.ts";
import { meetings } from "../meetings.ts";
import type { Draft } from "./draft.ts";
import type { NamespacePlan } from "./namespaces.ts";

const capNetAdmin = 12;
/** As many as the executor can move back when the start fails (native/executor.h). */
const deviceLimit = 32;
const where = "/linux/netDevices";

/** What the kernel takes as the name of an interface (dev_valid_name in net/core/dev.c). */
function checkName(name: string, pointer: string): void {
  if (
    name === "" ||
    name === "." ||
    name === ".." ||
    Buffer.byteLength(name) > 15 ||
    /[/:\s]/.test(name) ||
    // dev_alloc_name knows %d alone, and once
    !/^[^%]*(%d[^%]*)?$/.test(name)
  )
    refuse(pointer, `invalid network device name ${JSON.stringify(name)}`);
}

function devicesOf(draft: Draft) {
  return Object.entries(draft.linux.netDevices ?? {}).map(([name, device]) => ({
    name,
    as: device.name || name,
    pointer: at(where, name),
  }));
}

export function checkNetDevices(draft: Draft, namespaces: NamespacePlan): void {
  const devices = devicesOf(draft);
  if (devices.length === 0) return;
  if (!namespaces.private.has("network"))
    refuse(where, "unable to move network devices without a private NET namespace");
  if (devices.length > deviceLimit) refuse(where, `more than ${deviceLimit} network devices`);
  if (!holds(draft.facts, capNetAdmin))
    throw new GantryError("permission-denied", `${where}: network devices need CAP_NET_ADMIN on the host`, {
      detail: { pointer: where },
    });
  for (const { name, as, pointer } of devices) {
    checkName(name, pointer);
    if (name.includes("%")) refuse(pointer, `invalid network device name ${JSON.stringify(name)}`);
    checkName(as, `${pointer}/name`);
  }
}

const register = "network of the container";

/** The host side moves them once the child is in its namespaces; the child waits for it before any hook. */
export function moveNetDevices(draft: Draft, namespaces: NamespacePlan): void {
  const devices = devicesOf(draft);
  if (devices.length === 0) return;
  const joined = namespaces.joined.has("network");
  if (!joined)
    draft.host.push({
      op: "open-child-namespace",
      where,
      kind: kinds.network.cloneFlag,
      fd: register,
    });
  const namespace = joined ? "network namespace" : register;
  for (const { name, as, pointer } of devices)
    draft.host.push({
      op: "move-link",
      where: pointer,
      phrase: "failed to move network device",
      name,
      as,
      namespace,
    });
  draft.host.push({ op: "close", where, fd: namespace });
}

/** After the child has entered its namespaces: only then there is one to move interfaces into. */
export function announceNetwork(draft: Draft, namespaces: NamespacePlan): void {
  if (devicesOf(draft).length === 0 || namespaces.joined.has("network")) return;
  draft.child.push({ op: "tell-host", where, step: meetings.entered });
  draft.host.push({ op: "await-child", where, step: meetings.entered });
}

export function awaitNetDevices(draft: Draft): void {
  if (devicesOf(draft).length > 0) draft.meet("links");
}
