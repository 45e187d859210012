/**
 * An overlay for a container with a user namespace: its layers belong to the host's ids on disk and are
 * shown with the container's. So each layer is an id-mapped mount, which needs the user namespace; the
 * overlay is then made of descriptors, and handed to the child where that exists already.
 */
import { basename, dirname } from "node:path";
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { toHostId } from "../../linux/id-map.ts";
import { mountAttr, mountFlag } from "../../linux/mount-options.ts";
import { kernelAtLeast } from "../host-facts.ts";
import { type Draft, rootRegister } from "./draft.ts";
import type { RootFileSystem } from "./request.ts";
import { userNamespaceRegister } from "./user-namespace.ts";

type Overlay = Extract<RootFileSystem, { kind: "overlay" }>;

const where = "/root/path";
const snapshotRegister = "snapshot";
const layerRegister = (index: number) => `layer ${index}`;
/** Registers are few; a deeper image is flattened by its maker. */
const layerLimit = 120;

/** Before the clone: detached copies of the mounts that the layers lie on. */
export function openLayers(draft: Draft, root: Overlay): void {
  const { kernel } = draft.facts;
  // overlayfs takes descriptors since 6.13, and of mounts that are attached nowhere since 6.15
  if (!kernelAtLeast(draft.facts, 6, 15))
    throw new GantryError(
      "failed-precondition",
      `/root: an overlay in a user namespace needs Linux 6.15, this is ${kernel.release}`,
    );
  if (root.lower.length > layerLimit)
    refuse("/root", `${root.lower.length} layers are more than ${layerLimit}`);
  if (dirname(root.upper) !== dirname(root.work))
    refuse("/root", "upper and work directory must lie side by side: one mount has to show both");
  for (const [index, path] of root.lower.entries()) openLayer(draft, path, layerRegister(index));
  openLayer(draft, dirname(root.upper), snapshotRegister);
}

function openLayer(draft: Draft, path: string, fd: string): void {
  draft.host.push({ op: "clone-tree", where, phrase: "unable to open a layer", path, recursive: 0, fd });
}

/** When the user namespace has its ids: maps the layers and makes the overlay of them. */
export function mapLayers(draft: Draft, root: Overlay, childExists: boolean): void {
  const { host } = draft;
  const layers = root.lower.map((_, index) => layerRegister(index));
  for (const fd of [...layers, snapshotRegister])
    host.push({
      op: "set-mount-attributes",
      where,
      phrase: "unable to id-map a layer",
      fd,
      set: mountAttr.idmap,
      clear: 0,
      propagation: mountFlag.private,
      recursive: 0,
      userns: userNamespaceRegister,
    });
  const context = "overlay";
  const phrase = "unable to mount the root file system";
  host.push({ op: "open-below", where, dir: snapshotRegister, path: basename(root.upper), fd: "upper" });
  host.push({ op: "open-below", where, dir: snapshotRegister, path: basename(root.work), fd: "work" });
  host.push({ op: "open-file-system", where, phrase, type: "overlay", fd: context });
  host.push({ op: "set-file-system-option", where, phrase, context, option: "source=overlay" });
  for (const dir of layers)
    host.push({ op: "set-file-system-directory", where, phrase, context, key: "lowerdir+", dir });
  host.push({ op: "set-file-system-directory", where, phrase, context, key: "upperdir", dir: "upper" });
  host.push({ op: "set-file-system-directory", where, phrase, context, key: "workdir", dir: "work" });
  // as root of the container: another id could make nothing in the upper layer
  const uid = toHostId(draft.linux.uidMappings ?? [], 0) ?? 0;
  const gid = toHostId(draft.linux.gidMappings ?? [], 0) ?? 0;
  host.push({ op: "create-mount", where, phrase, context, attributes: 0, uid, gid, fd: rootRegister });
  if (!childExists) return;
  host.push({ op: "send-fd", where, fd: rootRegister });
  draft.child.push({ op: "receive-fd", where, fd: rootRegister });
}
