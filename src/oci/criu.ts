/** What checkpoint and restore share: flags, finding criu, and what its log says of a failure. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { GantryError, isGantryError, wrapErrno } from "../base/error.ts";
import { namespaces } from "../linux/namespaces.ts";
import type { CriuSetting } from "../plan/compile/criu.ts";
import { type CriuFlags, cgroupModes, networkLocks } from "../plan/compile/criu-request.ts";
import type { OciContext } from "./context.ts";
import { criuAnnotation } from "./features.ts";
import { type Flags, type FlagTable, usageError } from "./flags.ts";

export const criuFlagTable: FlagTable = {
  "image-path": {
    kind: "text",
    help: "directory of criu's images, defaults to checkpoint below the current one",
  },
  "work-path": {
    kind: "text",
    help: "directory of criu's log and other files, defaults to that of the images",
  },
  "tcp-established": { kind: "switch", help: "allow open tcp connections" },
  "tcp-skip-in-flight": { kind: "switch", help: "skip tcp connections that are not established yet" },
  "tcp-close": { kind: "switch", help: "close open tcp connections" },
  "link-remap": { kind: "switch", help: "allow open files that have no name any more but other links" },
  "ext-unix-sk": { kind: "switch", help: "allow unix sockets whose other end is outside" },
  "shell-job": { kind: "switch", help: "allow a terminal and a session from outside" },
  "lazy-pages": { kind: "switch", help: "hand over memory when it is asked for (userfaultfd)" },
  "file-locks": { kind: "switch", help: "allow file locks" },
  "auto-dedup": { kind: "switch", help: "drop pages from images that others have as well" },
  "manage-cgroups-mode": { kind: "text", help: "cgroups mode: soft (default), full, strict or ignore" },
  "empty-ns": { kind: "texts", help: "a namespace that is made anew and empty: network" },
  "network-lock": { kind: "text", help: "how criu holds the network still: iptables, nftables or skip" },
};

export function readCriuFlags(flags: Flags, annotations: Readonly<Record<string, string>>): CriuFlags {
  const configFile = criuConfig(annotations);
  return {
    tcpEstablished: flags.has("tcp-established"),
    tcpSkipInFlight: flags.has("tcp-skip-in-flight"),
    tcpClose: flags.has("tcp-close"),
    linkRemap: flags.has("link-remap"),
    extUnixSk: flags.has("ext-unix-sk"),
    shellJob: flags.has("shell-job"),
    lazyPages: flags.has("lazy-pages"),
    fileLocks: flags.has("file-locks"),
    autoDedup: flags.has("auto-dedup"),
    cgroupMode: choice(flags, "manage-cgroups-mode", cgroupModes) ?? "soft",
    networkLock: choice(flags, "network-lock", networkLocks),
    emptyNamespaces: emptyNamespaces(flags),
    pageServer: pageServer(flags.text("page-server")),
    lsmProfile: flags.text("lsm-profile"),
    lsmMountContext: flags.text("lsm-mount-context"),
    configFile,
  };
}

function choice<T extends string>(
  flags: Flags,
  name: string,
  values: Readonly<Record<T, number>>,
): T | undefined {
  const text = flags.text(name);
  if (text === undefined) return undefined;
  if (!Object.hasOwn(values, text))
    throw usageError(`invalid value "${text}" for flag -${name}: one of ${Object.keys(values).join(", ")}`);
  return text as T;
}

function emptyNamespaces(flags: Flags): number {
  for (const kind of flags.texts("empty-ns"))
    if (kind !== "network") throw usageError(`namespace "${kind}" is not supported`);
  return flags.texts("empty-ns").length > 0 ? namespaces.network.cloneFlag : 0;
}

function pageServer(text: string | undefined): CriuFlags["pageServer"] {
  if (!text) return undefined;
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (!parts || port === 0 || port > 65535)
    throw usageError("Use --page-server ADDRESS:PORT to specify page server");
  return { address: parts[1] ?? parts[2] ?? "", port };
}

/** Options of the administrator, as runc finds them: a file that an annotation names, else one for all. */
function criuConfig(annotations: Readonly<Record<string, string>>): string | undefined {
  const named = annotations[criuAnnotation];
  if (named !== undefined) return named || undefined;
  const common = "/etc/criu/runc.conf";
  return existsSync(common) ? common : undefined;
}

function findCriu(env: OciContext["env"]): string {
  for (const directory of (env.PATH ?? "").split(delimiter)) {
    const path = join(directory, "criu");
    try {
      accessSync(path, constants.X_OK);
      return resolve(path);
    } catch {
      // not there
    }
  }
  throw new GantryError("failed-precondition", "criu is needed and not found in $PATH: install criu");
}

/** The directories of a checkpoint; `make`: those that are missing. */
export function criuSetting(context: OciContext, flags: Flags, make: boolean): CriuSetting {
  if (process.geteuid!() !== 0)
    throw new GantryError("permission-denied", "criu needs the privileges of root");
  const program = findCriu(context.env);
  const images = resolve(flags.text("image-path") ?? "checkpoint");
  const work = flags.text("work-path") ? resolve(flags.text("work-path")!) : images;
  for (const directory of make ? [images, work] : work === images ? [] : [work])
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw wrapErrno(error, "make directory", directory);
    }
  if (!isDirectory(images))
    throw new GantryError("not-found", `open ${JSON.stringify(images)}: no directory with images of criu`);
  const env = Object.entries(context.env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  return { program, env, images, work };
}

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The last errors of criu's log but for the closing one, which only says that it failed. */
export function lastErrors(log: string): string {
  const errors = log
    .split("\n")
    .filter((line) => /\bError \(/.test(line) && !/ (?:Dumping|Restoring|Pre-dumping) FAILED\.$/.test(line))
    .map((line) => line.replace(/^\([\d.]+\)\s*/, ""));
  return errors.slice(-2).join("; ");
}

/** runc's two lines, whose first one callers show, and in that what criu says itself. */
export function explainCriu(error: unknown, log: string): unknown {
  if (!isGantryError(error) || error.detail.op !== "await-criu") return error;
  let told = "";
  try {
    told = lastErrors(readFileSync(log, "utf8"));
  } catch {
    // criu came not so far as to begin one
  }
  const [phrase = "", errno] = error.message.split(/: (?=errno)/);
  const code = errno === undefined ? phrase : `${phrase} ${/^errno \d+/.exec(errno)?.[0] ?? ""}`;
  return new GantryError(
    "failed-precondition",
    `${code}${told === "" ? "" : `: ${told}`}\nlog file: ${log}`,
    { detail: { log } },
  );
}
