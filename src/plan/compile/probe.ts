/** Plans that only find out whether the kernel does what containers need. They leave nothing. */
import { cloneFlags, type NamespaceKind } from "../../linux/namespaces.ts";
import type { Plan } from "../plan.ts";

/** A process in a namespace of its own. */
export function probeNamespace(kind: NamespaceKind): Plan {
  return {
    host: [
      { op: "clone", where: "", namespaces: cloneFlags([kind]), cgroup: undefined },
      { op: "end-child", where: "" },
    ],
    child: [{ op: "stay", where: "" }],
    cleanup: [{ op: "kill-child", where: "" }],
  };
}

/** An overlay in directories that the caller has made. */
export function probeOverlay(places: {
  readonly lower: string;
  readonly upper: string;
  readonly work: string;
}): Plan {
  const { lower, upper, work } = places;
  const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`, "source=overlay"];
  return {
    host: [
      { op: "make-mount", where: "", type: "overlay", options, attributes: 0, fd: "root" },
      { op: "close", where: "", fd: "root" },
    ],
    child: [],
    cleanup: [],
  };
}

/** A cgroup in one hierarchy, which the second plan takes away again. */
export function probeCgroup(mount: string, path: string): { readonly make: Plan; readonly remove: Plan } {
  return {
    make: {
      host: [
        { op: "make-cgroup", where: "", mount, path, init: 0, dir: "dir" },
        { op: "close", where: "", fd: "dir" },
      ],
      child: [],
      cleanup: [{ op: "remove-cgroup", where: "", mount, path }],
    },
    remove: { host: [], child: [], cleanup: [{ op: "remove-cgroup", where: "", mount, path }] },
  };
}
