/** What compileContainer and compileExec take. */
import type { SeccompFilter } from "../../linux/seccomp/compile.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { HostFacts } from "../host-facts.ts";

/** Where the root file system comes from; absolute host paths. */
export type RootFileSystem =
  /** Lower directories with the topmost first. Never mounted where the host could see it. */
  | {
      readonly kind: "overlay";
      readonly lower: readonly string[];
      readonly upper: string;
      readonly work: string;
      /**
       * Nothing of what is written is to outlast the container, so its end need not wait until all that is dirty on the
       * disk is written (overlayfs, "Volatile mount"). Once a working directory.
       */
      readonly volatile?: boolean | undefined;
    }
  | { readonly kind: "directory"; readonly path: string };

/** Formats of the log that the shim writes, by the number that `supervise` takes. */
export const logFormats = { none: 0, json: 1, cri: 2 } as const;

/** How a receiver of log lines is reached, and in what form it takes them, by the numbers of `forward-log`. */
export const forwardProtocols = { datagram: 1, stream: 2, either: 3, udp: 4, tcp: 5, relay: 6 } as const;
export const forwardFormats = {
  ...{ journal: 1, local: 2, rfc3164: 3, rfc5424: 4, rfc5424micro: 5, rfc5425: 6, rfc5425micro: 7 },
} as const;

/** A line for a file that others append to as well; `line` may hold late values and ends with a line feed. */
export interface AppendedLine {
  readonly path: string;
  /** Size at which the file is turned over. */
  readonly limitBytes: number;
  readonly line: string;
  /** What `@NAME@` in it becomes, unless there is a file `renamed`, which holds a newer one. */
  readonly name: string;
  readonly renamed: string;
}

/** Where every line of the log goes besides the file. */
export interface LogForward {
  readonly protocol: keyof typeof forwardProtocols;
  /** Absolute path of a socket, or a numeric address; with a relay, how the receiver is called. */
  readonly address: string;
  /** The program that has the connection, for the protocol "relay". */
  readonly relay?: HostProgram | undefined;
  readonly port?: number | undefined;
  readonly format: keyof typeof forwardFormats;
  /** For syslog. */
  readonly facility?: number | undefined;
  readonly host?: string | undefined;
  readonly tag?: string | undefined;
  /** For the journal: fields of every entry, as they go over the socket. */
  readonly fields?: Uint8Array | undefined;
  /** Whether a receiver that takes nothing holds the output up; else lines are dropped. */
  readonly patient: boolean;
  readonly bufferBytes?: number | undefined;
}

export interface HostProgram {
  readonly args: readonly string[];
  readonly env: readonly string[];
}

/** A container that runs, by its first process and the start time of that in clock ticks. */
export interface Donor {
  readonly pid: number;
  readonly start: number;
}

/** Another OCI runtime, which makes the container in the place of the plan. */
export interface ForeignRuntime {
  /** Absolute path of the program. */
  readonly path: string;
  /** Where it keeps its own state: its --root. */
  readonly root: string;
  readonly env: readonly string[];
}

/** A shim, and the number that it holds a mount by. */
export type HeldBy = Donor & { readonly number: number };

/** What a mount shows that is neither just a path of the host nor a new file system. */
export interface MountSource {
  /** Layers of an image, topmost first, in place of the source; at least two. */
  readonly lower?: readonly string[] | undefined;
  /** A path in what is mounted, which others fill: nothing leads out of it. */
  readonly below?: string | undefined;
  /** In place of a new tmpfs one that every shim which has it holds, as the descriptor `number` of its own. */
  readonly held?: { readonly number: number; readonly from?: HeldBy | undefined } | undefined;
}

export type HeldSource = MountSource & { readonly held: NonNullable<MountSource["held"]> };

/** The executor stays as the container's shim. */
export interface EngineMode {
  readonly kind: "engine";
  readonly root: RootFileSystem;
  /** Whether the program gets a pipe as its stdin; else what the executor inherited (/dev/null). */
  readonly stdin: boolean;
  /** Directory on the run-time side that the caller has made: start.json, exit.json and shim.sock go there. */
  readonly state: string;
  readonly log: {
    readonly format: keyof typeof logFormats;
    readonly path: string;
    /** Size at which the log is turned over, 0 for never; and how many files are kept. */
    readonly limitBytes: number;
    readonly files: number;
    /** A JSON object that every entry of a json-file carries. */
    readonly attributes?: string | undefined;
    readonly forward?: LogForward | undefined;
    /** Compresses what was turned over. */
    readonly packer?: HostProgram | undefined;
  };
  readonly stopSignal: number;
  /** By the destination of the mount. */
  readonly sources?: ReadonlyMap<string, MountSource> | undefined;
  /** Whether the controller sets up a network: the plan stops at the sync point `network`. */
  readonly network: boolean;
  /** Whose namespaces and mounts this one shares, by what the config has in the place of a path. */
  readonly donors?: ReadonlyMap<string, Donor> | undefined;
  /** Program of the host that is started with the container, if it needs somebody who has a clock. */
  readonly onStart?: HostProgram | undefined;
  /** The same when all is over, if anything is left to decide. */
  readonly onExit?:
    | (HostProgram & {
        /** Only if there is a file at this path by then. */
        readonly marker?: string | undefined;
      })
    | undefined;
  readonly runtime?: ForeignRuntime | undefined;
  /** Appended whenever the kernel has killed something of the container for want of memory. */
  readonly onOom?: AppendedLine | undefined;
}

/** Who makes the container's cgroups, where that is not the plan. */
export type ForeignCgroups =
  /** The controller has systemd make a unit at the sync point `unit`; `path` is its cgroup in the v2 hierarchy. */
  | {
      readonly kind: "unit";
      readonly path: string;
      /** systemd puts the child into a scope, but into nothing else. */
      readonly moveChild: boolean;
    }
  /** There shall be none: the child stays in those of the caller, and limits have no place. */
  | { readonly kind: "none" };

/** A service manager waits for the container to be ready (sd_notify(3)). */
export interface NotifyRequest {
  /** Directory of the host that is bound into the container, where its socket goes. */
  readonly directory: string;
  /** NOTIFY_SOCKET of the caller. */
  readonly manager: string;
  /** The process that the manager shall watch; nothing is the container's. */
  readonly mainPid?: number | undefined;
}

/** The executor leaves (or waits, in the foreground); stdio is inherited. */
export interface OciMode {
  readonly kind: "oci";
  /** The container's directory below --root, which the caller has made: state.json and exec.fifo. */
  readonly state: string;
  /** Whether the program waits for `start` at the fifo `exec.fifo` in the state directory. */
  readonly awaitStart: boolean;
  /** Whether the executor waits for the program's end and passes its exit status on. */
  readonly foreground: boolean;
  readonly pidFile?: string | undefined;
  readonly cgroups?: ForeignCgroups | undefined;
  /** --rootless: whether cgroups that may not be made are passed over; nothing leaves it to who asks. */
  readonly rootless?: boolean | undefined;
  readonly noPivot?: boolean | undefined;
  readonly noNewKeyring?: boolean | undefined;
  /** How many descriptors from 3 on the program keeps: those of LISTEN_FDS and, after them, those asked for. */
  readonly preserveFds?: number | undefined;
  /** Whether the first of them come from a service manager, for which LISTEN_PID must be the program's. */
  readonly listens?: boolean | undefined;
  /** Absolute path of the socket that gets the master of the program's terminal. */
  readonly consoleSocket?: string | undefined;
  /** Where the terminal is relayed to: 0, 1 or 2 if that is a terminal, 3 for /dev/tty. */
  readonly foregroundConsole?: number | undefined;
  /** Absolute path of the socket that gets a pidfd of the container's first process. */
  readonly pidfdSocket?: string | undefined;
  readonly notify?: NotifyRequest | undefined;
  /** Keep the state after a run in the foreground. */
  readonly keep?: boolean | undefined;
}

/** The executor stays as the shim of a further process. */
export interface ExecShim {
  /** Directory on the run-time side that the plan makes: start.json, exit.json and shim.sock go there. */
  readonly state: string;
  /** Keep it when all is over: nobody is connected who could be told of the end. */
  readonly detached: boolean;
  /** Whether the program gets a pipe as its stdin; else /dev/null. */
  readonly stdin: boolean;
  /** What start.json tells of the process besides its pid. */
  readonly record: Readonly<Record<string, unknown>>;
  /** Appended at its end, before anybody is told of that. */
  readonly onEnd?: AppendedLine | undefined;
}

/**
 * A further process in a container that runs. The executor stays as its shim, leaves, or waits in the foreground; but
 * for the first of these, stdio is inherited.
 */
export interface ExecMode {
  readonly kind: "exec";
  readonly shim?: ExecShim | undefined;
  /** Process 1 of the container, by pid and start time in clock ticks. */
  readonly init: { readonly pid: number; readonly start: number };
  /** The container's cgroups, one in each hierarchy. */
  readonly cgroups: readonly ExecCgroup[];
  /** Text of /proc/PID/cgroup of init; left out, the process goes where `cgroups` says, wherever init is. */
  readonly initCgroups?: string | undefined;
  readonly foreground: boolean;
  /** Absolute path, or "late": whoever starts the executor names it. */
  readonly pidFile?: string | undefined;
  /** Absolute path of the socket that gets a pidfd of the process. */
  readonly pidfdSocket?: string | undefined;
  /** As those of a container (OciMode). */
  readonly consoleSocket?: string | undefined;
  readonly foregroundConsole?: number | undefined;
  readonly noNewKeyring?: boolean | undefined;
  /** How many descriptors from 3 on the program keeps. */
  readonly preserveFds?: number | undefined;
}

export interface ExecCgroup {
  readonly version: number;
  /** Mount point of the hierarchy, and the path below it. */
  readonly mount: string;
  readonly path: string;
  /** v1: its controllers, "name=systemd" for a named hierarchy. */
  readonly controllers?: readonly string[] | undefined;
}

export interface PlanRequest {
  readonly id: string;
  /** What the policy of the config is compiled to; undefined where it needs no filter. */
  readonly filter: SeccompFilter | undefined;
  /** For exec: the container's, with the process that is asked for. */
  readonly config: RuntimeConfig;
  /** Absolute path of the bundle: what relative paths are relative to. */
  readonly bundle: string;
  readonly facts: HostFacts;
  readonly mode: EngineMode | OciMode | ExecMode;
  /** Told of what is passed over: unknown capabilities, unsupported hints. */
  readonly warn?: ((message: string, pointer: string) => void) | undefined;
  /** Warn also of what is normal and costs time to find: system calls that this machine does not have. */
  readonly verbose?: boolean | undefined;
}

export interface ContainerRequest extends PlanRequest {
  readonly mode: EngineMode | OciMode;
}

export interface ExecRequest extends PlanRequest {
  readonly mode: ExecMode;
}
