/**
 * The mount options of runtime-spec 1.3 (config-linux.md "Mounts", all 62) as what the kernel's mount
 * calls take. Options apply in order, the later one wins; what is no option of the specification goes
 * to the file system as it stands.
 */

/** MOUNT_ATTR_* of mount_setattr(2) and fsmount(2) (include/uapi/linux/mount.h). */
export const mountAttr = {
  readonly: 0x00000001,
  nosuid: 0x00000002,
  nodev: 0x00000004,
  noexec: 0x00000008,
  /** A field of three values, not three bits. */
  atimeField: 0x00000070,
  relatime: 0x00000000,
  noatime: 0x00000010,
  strictatime: 0x00000020,
  nodiratime: 0x00000080,
  idmap: 0x00100000,
  nosymfollow: 0x00200000,
} as const;

/** MS_* of mount(2) that this module hands out. */
export const mountFlag = {
  synchronous: 1 << 4,
  mandlock: 1 << 6,
  dirsync: 1 << 7,
  recursive: 1 << 14,
  silent: 1 << 15,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  iversion: 1 << 23,
  lazytime: 1 << 25,
} as const;

/**
 * Options of the superblock. The first four are flags of fsconfig(2); `silent` and `iversion` have no
 * such name and exist for mount(2) only.
 */
export type SuperblockFlag = "sync" | "dirsync" | "mand" | "lazytime" | "silent" | "iversion";

/** MS_* bit of each, for mount(2). */
export const superblockFlagBits: Readonly<Record<SuperblockFlag, number>> = {
  sync: mountFlag.synchronous,
  dirsync: mountFlag.dirsync,
  mand: mountFlag.mandlock,
  lazytime: mountFlag.lazytime,
  silent: mountFlag.silent,
  iversion: mountFlag.iversion,
};

export interface MountOptions {
  /** MOUNT_ATTR_* for this mount; `attrClear` holds the whole atime field whenever atime is named. */
  readonly attrSet: number;
  readonly attrClear: number;
  /** The same for this mount and all below it (AT_RECURSIVE). */
  readonly recAttrSet: number;
  readonly recAttrClear: number;
  readonly sbFlags: readonly SuperblockFlag[];
  /** Propagation changes in order: MS_PRIVATE and so on, with MS_REC for the r-forms. */
  readonly propagation: readonly number[];
  readonly bind: boolean;
  readonly rbind: boolean;
  readonly remount: boolean;
  /** Options for the file system itself, in order: "size=64m", "noswap". */
  readonly data: readonly string[];
  readonly idmap: "none" | "idmap" | "ridmap";
  /** The new tmpfs starts with a copy of what it covers. */
  readonly tmpcopyup: boolean;
  /** A source that is a symbolic link is bound as it is ("src-nofollow", which crun brought in). */
  readonly nofollow: boolean;
}

type Effect =
  | { readonly kind: "nothing" }
  | { readonly kind: "attr"; readonly set: number; readonly clear: number }
  | { readonly kind: "superblock"; readonly flag: SuperblockFlag; readonly on: boolean }
  | { readonly kind: "propagation"; readonly flag: number }
  | {
      readonly kind: "switch";
      readonly name: "bind" | "rbind" | "remount" | "idmap" | "ridmap" | "tmpcopyup";
    };

const set = (bit: number): Effect => ({ kind: "attr", set: bit, clear: 0 });
const clear = (bit: number): Effect => ({ kind: "attr", set: 0, clear: bit });
const atime = (value: number): Effect => ({ kind: "attr", set: value, clear: mountAttr.atimeField });
const on = (flag: SuperblockFlag): Effect => ({ kind: "superblock", flag, on: true });
const off = (flag: SuperblockFlag): Effect => ({ kind: "superblock", flag, on: false });
const spread = (flag: number): Effect => ({ kind: "propagation", flag });
const turn = (name: Extract<Effect, { kind: "switch" }>["name"]): Effect => ({ kind: "switch", name });

/**
 * Each has an r-form. Taking `noatime`, `relatime` or `strictatime` back leaves what the kernel does by
 * default, relatime (mount(2), since Linux 2.6.30).
 */
const attributes: Readonly<Record<string, Effect>> = {
  ro: set(mountAttr.readonly),
  rw: clear(mountAttr.readonly),
  nosuid: set(mountAttr.nosuid),
  suid: clear(mountAttr.nosuid),
  nodev: set(mountAttr.nodev),
  dev: clear(mountAttr.nodev),
  noexec: set(mountAttr.noexec),
  exec: clear(mountAttr.noexec),
  nodiratime: set(mountAttr.nodiratime),
  diratime: clear(mountAttr.nodiratime),
  noatime: atime(mountAttr.noatime),
  atime: atime(mountAttr.relatime),
  relatime: atime(mountAttr.relatime),
  norelatime: atime(mountAttr.relatime),
  strictatime: atime(mountAttr.strictatime),
  nostrictatime: atime(mountAttr.relatime),
  nosymfollow: set(mountAttr.nosymfollow),
  symfollow: clear(mountAttr.nosymfollow),
};

const others: Readonly<Record<string, Effect>> = {
  defaults: { kind: "nothing" },
  async: off("sync"),
  sync: on("sync"),
  dirsync: on("dirsync"),
  mand: on("mand"),
  nomand: off("mand"),
  lazytime: on("lazytime"),
  nolazytime: off("lazytime"),
  silent: on("silent"),
  loud: off("silent"),
  iversion: on("iversion"),
  noiversion: off("iversion"),
  private: spread(mountFlag.private),
  rprivate: spread(mountFlag.private | mountFlag.recursive),
  shared: spread(mountFlag.shared),
  rshared: spread(mountFlag.shared | mountFlag.recursive),
  slave: spread(mountFlag.slave),
  rslave: spread(mountFlag.slave | mountFlag.recursive),
  unbindable: spread(mountFlag.unbindable),
  runbindable: spread(mountFlag.unbindable | mountFlag.recursive),
  bind: turn("bind"),
  rbind: turn("rbind"),
  remount: turn("remount"),
  idmap: turn("idmap"),
  ridmap: turn("ridmap"),
  tmpcopyup: turn("tmpcopyup"),
};

const single = new Map<string, Effect>([...Object.entries(attributes), ...Object.entries(others)]);
const recursive = new Map<string, Effect>(
  Object.entries(attributes).map(([name, effect]) => [`r${name}`, effect]),
);

/** The 62 options, sorted, as `features` lists them. */
export const mountOptionNames: readonly string[] = [...single.keys(), ...recursive.keys()].sort();

class Attributes {
  set = 0;
  clear = 0;

  apply(effect: { readonly set: number; readonly clear: number }): void {
    const touched = effect.set | effect.clear;
    this.set = (this.set & ~touched) | effect.set;
    this.clear = (this.clear & ~touched) | effect.clear;
  }
}

/** Reads the `options` of one mount. Any text is accepted: an unknown option is the file system's affair. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  const own = new Attributes();
  const below = new Attributes();
  const sbFlags = new Set<SuperblockFlag>();
  const switches = new Set<string>();
  const propagation: number[] = [];
  const data: string[] = [];
  let nofollow = false;
  let idmap: MountOptions["idmap"] = "none";

  for (const option of options) {
    const deep = recursive.get(option);
    if (deep?.kind === "attr") {
      below.apply(deep);
      continue;
    }
    const effect = single.get(option);
    if (effect === undefined) {
      if (option === "src-nofollow") nofollow = true;
      else if (option !== "") data.push(option);
      continue;
    }
    switch (effect.kind) {
      case "nothing":
        break;
      case "attr":
        own.apply(effect);
        break;
      case "superblock":
        if (effect.on) sbFlags.add(effect.flag);
        else sbFlags.delete(effect.flag);
        break;
      case "propagation":
        propagation.push(effect.flag);
        break;
      case "switch":
        if (effect.name === "idmap" || effect.name === "ridmap") idmap = effect.name;
        else switches.add(effect.name);
        break;
      default:
        throw effect satisfies never;
    }
  }
  return {
    attrSet: own.set,
    attrClear: own.clear,
    recAttrSet: below.set,
    recAttrClear: below.clear,
    sbFlags: [...sbFlags],
    propagation,
    bind: switches.has("bind"),
    rbind: switches.has("rbind"),
    remount: switches.has("remount"),
    data,
    idmap,
    tmpcopyup: switches.has("tmpcopyup"),
    nofollow,
  };
}
