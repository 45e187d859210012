/** Requests to criu, in the bytes of its images/rpc.proto: the numbers of fields are those of that file. */
import { encodeMessage, type Field } from "../../wire/protobuf.ts";

/** Values of criu_cg_mode. */
export const cgroupModes = { ignore: 0, soft: 3, full: 4, strict: 5 } as const;
/** Values of criu_network_lock_method. */
export const networkLocks = { iptables: 1, nftables: 2, skip: 3 } as const;
/** Values of criu_req_type. */
const requestTypes = { dump: 1, restore: 2, "pre-dump": 4 } as const;

export type CriuRequestKind = keyof typeof requestTypes;

/** Descriptors of criu as the operation serve-criu places them. */
export const criuFds = { socket: 3, images: 4, work: 5, further: 6 } as const;

/** What both sides of a checkpoint can be asked for on the command line. */
export interface CriuFlags {
  readonly tcpEstablished: boolean;
  readonly tcpSkipInFlight: boolean;
  readonly tcpClose: boolean;
  readonly linkRemap: boolean;
  readonly extUnixSk: boolean;
  readonly shellJob: boolean;
  readonly lazyPages: boolean;
  readonly fileLocks: boolean;
  readonly autoDedup: boolean;
  readonly cgroupMode: keyof typeof cgroupModes;
  /** CLONE_NEW* bits of namespaces that are made anew and empty. */
  readonly emptyNamespaces: number;
  readonly pageServer?: { readonly address: string; readonly port: number } | undefined;
  readonly networkLock?: keyof typeof networkLocks | undefined;
  readonly lsmProfile?: string | undefined;
  readonly lsmMountContext?: string | undefined;
  /** A file with further options, which criu lets win over these. */
  readonly configFile?: string | undefined;
}

export interface CriuRequest {
  readonly kind: CriuRequestKind;
  readonly flags: CriuFlags;
  /** Name of the log in the work directory. */
  readonly log: string;
  readonly pid?: number | undefined;
  /** Where the root file system lies: when restoring, a mount point that criu makes the root. */
  readonly root: string;
  readonly leaveRunning?: boolean | undefined;
  /** Images of an earlier pre-dump, relative to the images. */
  readonly parent?: string | undefined;
  /** Directory of the cgroup whose freezer holds the processes still. */
  readonly freezeCgroup?: string | undefined;
  /** Mounts that come from outside: by the path inside the name they have, or when restoring the source on the host. */
  readonly mounts: ReadonlyMap<string, string>;
  /** Namespaces that come from outside, e.g. `net[4026531840]:name`. */
  readonly external?: readonly string[] | undefined;
  /** Descriptors of criu that take the place of dumped ones, by name. */
  readonly inherited?: readonly { readonly name: string; readonly fd: number }[] | undefined;
  /** The container's cgroup, for one controller of v1 or for all. */
  readonly cgroups?:
    | readonly { readonly controller?: string | undefined; readonly path: string }[]
    | undefined;
}

/** criu's own default is to log too little to learn anything from. */
const logLevel = 4;

function optionsOf(request: CriuRequest): readonly Field[] {
  const { kind, flags } = request;
  const restoring = kind === "restore";
  const on = (value: boolean | undefined) => value || undefined;
  const { pageServer } = flags;
  return [
    [1, criuFds.images],
    [2, request.pid],
    [3, on(request.leaveRunning)],
    [4, on(flags.extUnixSk)],
    [5, on(flags.tcpEstablished)],
    [7, on(flags.shellJob)],
    [8, on(flags.fileLocks)],
    [9, logLevel],
    [10, request.log],
    [
      11,
      pageServer &&
        encodeMessage([
          [1, pageServer.address],
          [2, pageServer.port],
        ]),
    ],
    [12, true], // notify_scripts
    [13, request.root],
    [14, request.parent],
    [15, on(kind === "pre-dump" || request.parent !== undefined)], // track_mem
    [16, on(flags.autoDedup)],
    [17, criuFds.work],
    [18, on(flags.linkRemap)],
    ...[...request.mounts].map(
      ([key, value]): Field => [
        23,
        encodeMessage([
          [1, key],
          [2, value],
        ]),
      ],
    ),
    [24, true], // manage_cgroups
    ...(request.cgroups ?? []).map(
      ({ controller, path }): Field => [
        25,
        encodeMessage([
          [1, controller],
          [2, path],
        ]),
      ],
    ),
    [26, on(restoring)], // rst_sibling: the process becomes the child of who started criu
    ...(request.inherited ?? []).map(
      ({ name, fd }): Field => [
        27,
        encodeMessage([
          [1, name],
          [2, fd],
        ]),
      ],
    ),
    [34, cgroupModes[flags.cgroupMode]],
    ...(request.external ?? []).map((text): Field => [37, text]),
    [38, flags.emptyNamespaces || undefined],
    [44, request.freezeCgroup],
    [46, on(flags.tcpSkipInFlight)],
    [48, on(flags.lazyPages)],
    [50, true], // orphan_pts_master: a terminal whose master end is outside
    [51, flags.configFile],
    [52, on(flags.tcpClose)],
    [53, flags.lsmProfile],
    [63, flags.lsmMountContext],
    [64, flags.networkLock && networkLocks[flags.networkLock]],
  ];
}

export function encodeCriuRequest(request: CriuRequest): Uint8Array {
  return encodeMessage([
    [1, requestTypes[request.kind]],
    [2, encodeMessage(optionsOf(request))],
  ]);
}
