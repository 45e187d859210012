/** The root file system: a detached mount, which only the container's mount namespace ever shows. */

import { refuse } from "../../base/decode.ts";
import { mountFlag } from "../../linux/mount-options.ts";
import type { Step } from "../plan.ts";
import { type Draft, rootRegister } from "./draft.ts";
import { openLayers } from "./idmapped-root.ts";
import type { NamespacePlan } from "./namespaces.ts";
import type { RootFileSystem } from "./request.ts";
import { mayMountOnHost } from "./rootless.ts";

const where = "/root/path";

/** Propagation of what is under / in the new mount namespace, and of the root, by their names. */
const propagations: Readonly<Record<string, number>> = {
  private: mountFlag.private,
  rprivate: mountFlag.private | mountFlag.recursive,
  shared: mountFlag.shared,
  rshared: mountFlag.shared | mountFlag.recursive,
  slave: mountFlag.slave,
  rslave: mountFlag.slave | mountFlag.recursive,
  unbindable: mountFlag.unbindable,
  runbindable: mountFlag.unbindable | mountFlag.recursive,
};

export function rootOf(draft: Draft): RootFileSystem {
  const { mode, config } = draft.request;
  if (mode.kind === "engine") return mode.root;
  if (!config.root) refuse("/root", "is required");
  return { kind: "directory", path: draft.path(config.root.path) };
}

/** The host side opens the root if it may; else the child does, as root of its user namespace. */
function opensOnHost(draft: Draft): boolean {
  return mayMountOnHost(draft.facts);
}

function openDirectory(draft: Draft, list: Step[], path: string): void {
  const phrase = "unable to open root file system";
  list.push({ op: "clone-tree", where, phrase, path, recursive: 1, fd: rootRegister });
  // a copy stays a peer of what it was made from: mounts inside would show on the host
  list.push({
    op: "set-mount-attributes",
    where: draft.linux.rootfsPropagation ? "/linux/rootfsPropagation" : where,
    fd: rootRegister,
    set: 0,
    clear: 0,
    propagation: rootPropagation(draft),
    recursive: 1,
    userns: undefined,
  });
}

/** Before the clone: the mount of the root, which the child inherits. */
export function openRoot(draft: Draft, namespaces: NamespacePlan): void {
  const root = rootOf(draft);
  if (root.kind === "directory") {
    if (opensOnHost(draft)) openDirectory(draft, draft.host, root.path);
  } else if (namespaces.private.has("user")) openLayers(draft, root);
  else draft.host.push(overlay(root));
}

function overlay(root: Extract<RootFileSystem, { kind: "overlay" }>): Step {
  return {
    op: "make-mount",
    where,
    phrase: "unable to mount the root file system",
    type: "overlay",
    options: [
      ...root.lower.map((path) => `lowerdir+=${path}`),
      `upperdir=${root.upper}`,
      `workdir=${root.work}`,
      ...(root.volatile ? ["volatile"] : []),
      "source=overlay",
    ],
    attributes: 0,
    fd: rootRegister,
  };
}

/** MS_* without MS_REC, until there is nothing any more that a shared or unbindable root would be in the way of. */
function rootPropagation(draft: Draft): number {
  const asked = propagations[draft.linux.rootfsPropagation || "private"]!;
  return asked & mountFlag.slave ? mountFlag.slave : mountFlag.private;
}

/** After pivot, which takes neither a shared root nor one in a shared parent (pivot_root(2)). */
export function spreadRoot(draft: Draft): void {
  const asked = propagations[draft.linux.rootfsPropagation || "private"]!;
  if (!(asked & (mountFlag.shared | mountFlag.unbindable))) return;
  draft.child.push({
    op: "set-propagation",
    where: "/linux/rootfsPropagation",
    phrase: "error setting propagation of the root file system",
    flags: asked,
  });
}

/** In the child: nothing that happens here reaches the host's mounts; then the root goes up. */
export function attachRoot(draft: Draft): void {
  const asked = draft.linux.rootfsPropagation;
  const flags = asked ? propagations[asked]! : mountFlag.slave;
  draft.child.push({
    op: "set-propagation",
    where: asked ? "/linux/rootfsPropagation" : "",
    // unbindable would take away the sources of bind mounts, and shared would show them on the host
    flags: (flags & (mountFlag.slave | mountFlag.private) ? flags : mountFlag.private) | mountFlag.recursive,
  });
  const root = rootOf(draft);
  if (root.kind === "directory" && !opensOnHost(draft)) openDirectory(draft, draft.child, root.path);
  draft.child.push({
    op: "attach-root",
    where,
    phrase: "unable to attach the root file system",
    mount: rootRegister,
  });
}
