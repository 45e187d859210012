/**
 * A mount of type cgroup: the container's own cgroups at the destination.
 *
 * v2 is one mount. v1 is a tmpfs with a directory for each hierarchy, named as on the host, and links
 * for controllers that share one; on a hybrid machine the v2 tree is in it too. They are copies of the
 * host's mounts of these directories: a new mount of a hierarchy in a cgroup namespace shows the same, but
 * makes and ends a superblock, eleven times a container. A pure v2 tree is mounted anew, so that it knows
 * of delegation, and so is everything where the child is not root on the host and may not copy.
 */
import { posix } from "node:path";
import { mountAttr, mountFlag } from "../../linux/mount-options.ts";
import { type ContainerCgroup, visibleCgroups } from "./cgroups.ts";
import { type Draft, rootRegister } from "./draft.ts";
import type { PlannedMount } from "./mount-entries.ts";
import { type NamespacePlan, unshareCgroup } from "./namespaces.ts";
import { mayMountOnHost } from "./rootless.ts";

const treeRegister = "cgroup tree";

function openCgroup(
  draft: Draft,
  planned: PlannedMount,
  namespaces: NamespacePlan,
  cgroup: ContainerCgroup,
): void {
  const { where, phrase, options, register: fd } = planned;
  const set = options.attrSet | options.recAttrSet;
  const mayCopy =
    draft.facts.cgroups.mode !== "v2" && mayMountOnHost(draft.facts) && !namespaces.private.has("user");
  if (namespaces.own.has("cgroup") && !mayCopy) {
    const type = cgroup.version === 2 ? "cgroup2" : "cgroup";
    // nsdelegate and the like are for the first mount of a hierarchy only: none of the config's data
    const names = cgroup.version === 2 ? [] : cgroup.controllers;
    draft.child.push({
      op: "make-mount",
      where,
      phrase,
      type,
      options: [...names, "source=cgroup"],
      attributes: set,
      fd,
    });
    return;
  }
  const path = `${cgroup.hierarchy.mountPoint}${cgroup.path}`;
  draft.child.push({ op: "clone-tree", where, phrase, path, recursive: 0, fd });
  const propagation = mountFlag.private;
  draft.child.push({
    op: "set-mount-attributes",
    where,
    phrase,
    fd,
    set,
    clear: 0,
    propagation,
    recursive: 0,
    userns: undefined,
  });
}

function attach(draft: Draft, planned: PlannedMount, mount: string, path: string): void {
  const { where, phrase } = planned;
  draft.child.push({ op: "attach-mount", where, phrase, mount, root: rootRegister, path, options: 0 });
}

export function mountCgroups(
  draft: Draft,
  planned: PlannedMount,
  namespaces: NamespacePlan,
  made: readonly ContainerCgroup[],
): void {
  const { where, phrase, options, destination, register: fd } = planned;
  draft.awaitCgroups();
  unshareCgroup(draft, namespaces);
  const cgroups = visibleCgroups(draft, made);
  const [only] = cgroups;
  if (!only) {
    draft.warn("there are no cgroups on this host: the mount is left out", where);
    return;
  }
  if (draft.facts.cgroups.mode === "v2") {
    openCgroup(draft, planned, namespaces, only);
    attach(draft, planned, fd, destination);
    draft.child.push({ op: "close", where, fd });
    return;
  }
  const attributes = options.attrSet | options.recAttrSet;
  draft.child.push({
    op: "make-mount",
    where,
    phrase,
    type: "tmpfs",
    options: ["source=tmpfs", "mode=755"],
    attributes: attributes & ~mountAttr.readonly,
    fd: treeRegister,
  });
  attach(draft, planned, treeRegister, destination);
  for (const cgroup of cgroups) {
    const name = posix.basename(cgroup.hierarchy.mountPoint);
    openCgroup(draft, planned, namespaces, cgroup);
    attach(draft, planned, fd, posix.join(destination, name));
    draft.child.push({ op: "close", where, fd });
    for (const controller of cgroup.hierarchy.controllers)
      if (controller !== name && cgroup.hierarchy.controllers.length > 1)
        draft.child.push({
          op: "make-symlink-in-root",
          where,
          phrase,
          root: rootRegister,
          path: posix.join(destination, controller),
          target: name,
        });
  }
  if (attributes & mountAttr.readonly)
    draft.child.push({
      op: "set-mount-attributes",
      where: `${where}/options`,
      phrase,
      fd: treeRegister,
      set: mountAttr.readonly,
      clear: 0,
      propagation: 0,
      recursive: 0,
      userns: undefined,
    });
  draft.child.push({ op: "close", where, fd: treeRegister });
}
