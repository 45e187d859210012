/** The entries of `mounts`, understood and checked before anything is planned. */
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { checkIdMap, type IdMapping } from "../../linux/id-map.ts";
import { type MountOptions, parseMountOptions } from "../../linux/mount-options.ts";
import type { RuntimeMount } from "../../spec/runtime-mount.ts";
import type { Draft } from "./draft.ts";
import type { HeldSource } from "./request.ts";
import { mayMountOnHost } from "./rootless.ts";

/** Registers are few (encode.ts, registerLimit): the binds beyond this number are opened in the child. */
const inheritedLimit = 150;

/** One entry of `mounts`, understood. */
export interface PlannedMount {
  readonly mount: RuntimeMount;
  readonly where: string;
  readonly destination: string;
  readonly options: MountOptions;
  readonly phrase: string;
  readonly kind: "bind" | "cgroup" | "held" | "new" | "remount";
  /** Opened by the host side under this name, or by the child. */
  readonly register: string;
  readonly inherited: boolean;
  readonly ids: "host" | "container" | "own";
}

function kindOf(mount: RuntimeMount, options: MountOptions): PlannedMount["kind"] {
  if (options.remount) return "remount";
  if (options.bind || options.rbind || mount.type === "bind" || mount.type === "rbind") return "bind";
  return mount.type === "cgroup" || mount.type === "cgroup2" ? "cgroup" : "new";
}

export function readMounts(draft: Draft): readonly PlannedMount[] {
  const privileged = mayMountOnHost(draft.facts);
  let inherited = 0;
  return (draft.config.mounts ?? []).map((mount, index) => {
    const where = `/mounts/${index}`;
    const options = parseMountOptions(mount.options ?? []);
    let { destination } = mount;
    if (destination === "") refuse(`${where}/destination`, "must not be empty");
    if (!destination.startsWith("/")) {
      draft.warn(`mount destination ${JSON.stringify(destination)} is not absolute`, `${where}/destination`);
      destination = `/${destination}`;
    }
    const kind = heldOf(draft, destination) ? "held" : kindOf(mount, options);
    if (kind === "bind" && !mount.source) refuse(`${where}/source`, "a bind mount needs a source");
    if (kind === "new" && !mount.type) refuse(`${where}/type`, "a mount that is no bind mount needs a type");
    const ids = kind === "held" ? idsOfHeld(draft) : idsOf(draft, mount, options, where);
    const byHost = kind === "held" || (kind === "bind" && privileged && inherited++ < inheritedLimit);
    if (ids !== "host" && !byHost)
      throw new GantryError(
        "permission-denied",
        `${where}: an id-mapped mount needs privileges on the host`,
        {
          detail: { pointer: where },
        },
      );
    const source = kind === "bind" ? draft.path(mount.source!) : (mount.source ?? mount.type!);
    return {
      mount,
      where,
      destination,
      options,
      phrase: `error mounting ${JSON.stringify(source)} to rootfs at ${JSON.stringify(destination)}`,
      kind,
      register: byHost ? `mount ${index}` : "mount",
      inherited: byHost,
      ids,
    };
  });
}

/** What is held by shims, where that is what a mount shows. */
export function heldOf({ request: { mode } }: Draft, destination: string): HeldSource | undefined {
  const source = mode.kind === "engine" ? mode.sources?.get(destination) : undefined;
  return source?.held && { ...source, held: source.held };
}

/** In what is shared they stand as the container sees them. */
function idsOfHeld({ linux: { namespaces = [] } }: Draft): PlannedMount["ids"] {
  return namespaces.some(({ type }) => type === "user") ? "container" : "host";
}

/** Which ids a bind mount shows: the host's, those of the container's user namespace, or by a map of its own. */
function idsOf(draft: Draft, mount: RuntimeMount, options: MountOptions, where: string): PlannedMount["ids"] {
  const { uidMappings, gidMappings } = mount;
  if ((uidMappings === undefined) !== (gidMappings === undefined))
    refuse(where, "uidMappings and gidMappings must be given together");
  if (!uidMappings && options.idmap === "none") return "host";
  if (kindOf(mount, options) !== "bind") refuse(where, "only a bind mount can be id-mapped");
  const same = (own: unknown, container: unknown) => JSON.stringify(own) === JSON.stringify(container);
  const { uidMappings: uids, gidMappings: gids, namespaces = [] } = draft.linux;
  if (uidMappings && !(same(uidMappings, uids) && same(gidMappings, gids))) {
    checkMap(uidMappings, "uid", `${where}/uidMappings`);
    checkMap(gidMappings ?? [], "gid", `${where}/gidMappings`);
    return "own";
  }
  if (!namespaces.some(({ type }) => type === "user"))
    refuse(where, "an id-mapped mount needs a user namespace, or mappings of its own");
  return "container";
}

function checkMap(mappings: readonly IdMapping[], what: "uid" | "gid", pointer: string): void {
  try {
    checkIdMap(mappings, what);
  } catch (error) {
    refuse(pointer, (error as Error).message);
  }
}
