/** Paths of a container as tar archives, in and out: what docker's `archive` requests do, and `cp` stands on. */
import { GantryError } from "../../base/error.ts";
import { Scope } from "../../base/scope.ts";
import { nameOf } from "../../snapshots/layer-path.ts";
import { type Owner, packTree } from "../../snapshots/pack.ts";
import { type ResolvedPath, resolveInView } from "../../snapshots/resolve-in-view.ts";
import type { TreeEntry } from "../../snapshots/tree-entry.ts";
import { TreeSession } from "../../snapshots/tree-session.ts";
import { unpackInto } from "../../snapshots/unpack-into.ts";
import { type ByteString, byteStringOf, textOfByteString } from "../../wire/tar-format.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";
import { type ContainerView, openContainerView } from "./container-view.ts";
import { containerAttributes } from "./event-attributes.ts";
import { readRuntimeConfig } from "./runtime-config-file.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

export interface PathStat {
  readonly name: string;
  readonly type: TreeEntry["type"];
  readonly sizeBytes: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** RFC 3339. */
  readonly modified: string;
  /** What a symlink says. */
  readonly linkTarget?: string;
}

export interface ReadArchiveOptions extends Cancellable {
  /** Take what a symlink at the end of the path leads to. */
  readonly followLink?: boolean;
  /** Name of the top member; that of the path unless told. */
  readonly name?: string;
}

export interface WriteArchiveOptions extends Cancellable {
  /** Give all of it to the user that the container's program runs as. */
  readonly toContainerUser?: boolean;
}

/** To be read to its end, or disposed of. */
export interface PathArchive extends AsyncDisposable {
  readonly stat: PathStat;
  readonly tar: AsyncIterable<Uint8Array>;
}

/** Whether a path names what is in a directory, and not the directory. */
export function namesContent(path: string): boolean {
  return /(^|\/)\.?$/.test(path) && (path === "" || path.endsWith(".") || /^\/+$/.test(path));
}

/** Whether a path can only be that of a directory. */
export function assertsDirectory(path: string): boolean {
  return /(^|\/)\.{0,2}$/.test(path);
}

export function missing(path: string, { record }: ContainerView): GantryError {
  return new GantryError("not-found", `Could not find the file ${path} in container ${record.name}`, {
    detail: { path, id: record.id },
  });
}

/** Looks into a view; the path ends in something that is there. */
export async function existing(
  session: TreeSession,
  root: number,
  view: ContainerView,
  path: string,
  follow: boolean,
): Promise<{ readonly path: ByteString; readonly entry: TreeEntry }> {
  const found = await resolveInView(session, root, byteStringOf(path), {
    follow: follow || assertsDirectory(path),
  });
  if (!found?.entry) throw missing(path, view);
  return { path: found.path, entry: found.entry };
}

function statOf(
  path: string,
  { path: resolved, entry }: { readonly path: ByteString; readonly entry: TreeEntry },
  view: ContainerView,
): PathStat {
  const ids = view.inside(resolved);
  const milliseconds = entry.mtimeSeconds * 1000 + Math.floor(entry.mtimeNanoseconds / 1e6);
  return {
    name: topName(path),
    type: entry.type,
    sizeBytes: entry.sizeBytes,
    mode: entry.mode,
    ...{ uid: ids.uid(entry.uid), gid: ids.gid(entry.gid) },
    modified: new Date(milliseconds).toISOString(),
    ...(entry.type === "symlink" ? { linkTarget: textOfByteString(entry.linkPath) } : {}),
  };
}

/** The name that the path's archive has for it. */
export function topName(path: string): string {
  if (namesContent(path)) return ".";
  return textOfByteString(nameOf(byteStringOf(path.replace(/\/+$/, ""))));
}

/** What a session is called when it fails. */
export const sessionName = ({ record }: ContainerView) => `look into container "${record.name}"`;

export async function statContainerPath(
  internals: Internals,
  id: string,
  path: string,
  options: Cancellable & { readonly followLink?: boolean } = {},
): Promise<PathStat> {
  using view = await openContainerView(internals, id, options);
  await using session = new TreeSession(internals.executor(), sessionName(view), options);
  const root = await session.open(view.whole(false));
  return statOf(path, await existing(session, root, view, path, options.followLink ?? false), view);
}

/** Something in a container, with what it takes to read it. */
export interface OpenedPath extends AsyncDisposable {
  readonly stat: PathStat;
  /** The archive of it, made while it is read, of the container as it is then. */
  pack(name: string, holes?: boolean): AsyncIterable<Uint8Array>;
}

export async function openContainerPath(
  internals: Internals,
  id: string,
  path: string,
  options: Cancellable & { readonly followLink?: boolean } = {},
): Promise<OpenedPath> {
  const { followLink = false, ...cancellable } = options;
  await using scope = new Scope();
  const view = scope.use(await openContainerView(internals, id, cancellable));
  const session = scope.use(new TreeSession(internals.executor(), sessionName(view), cancellable));
  const root = await session.open(view.whole(false));
  const found = await existing(session, root, view, path, followLink);
  internals.events.append("container", "archive-path", id, containerAttributes(view.record));
  return scope.keep({
    stat: statOf(path, found, view),
    pack: (name: string, holes = false) =>
      packTree(session, root, { path: found.path, name: byteStringOf(name), ids: view.inside, holes }),
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      view[Symbol.dispose]();
    },
  });
}

export async function readContainerArchive(
  internals: Internals,
  id: string,
  path: string,
  options: ReadArchiveOptions = {},
): Promise<PathArchive> {
  const { name = topName(path), ...rest } = options;
  const opened = await openContainerPath(internals, id, path, rest);
  const tar = (async function* () {
    await using _ = opened;
    yield* opened.pack(name);
  })();
  return { stat: opened.stat, tar, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

/** Unpacks an archive below a directory of the container, which must be there. */
export async function writeContainerArchive(
  internals: Internals,
  id: string,
  path: string,
  tar: AsyncIterable<Uint8Array>,
  options: WriteArchiveOptions = {},
): Promise<void> {
  const { signal } = options;
  const cancellable = signal ? { signal } : {};
  using view = await openContainerView(internals, id, cancellable);
  let found: ResolvedPath | undefined;
  {
    await using session = new TreeSession(internals.executor(), sessionName(view), cancellable);
    const root = await session.open(view.whole(false));
    found = await existing(session, root, view, path, true);
  }
  if (found.entry?.type !== "directory")
    throw new GantryError(
      "failed-precondition",
      `destination "${view.record.name}:${path}" must be a directory`,
      { detail: { path } },
    );
  await unpackIntoView(internals, view, found.path, tar, options);
}

/** Who the program of a container runs as; undefined if nobody has said so, as for docker. */
function userOf(internals: Internals, { id, options }: ContainerRecord): Owner | undefined {
  const { uid = 0, gid = 0 } = readRuntimeConfig(internals, id).process?.user ?? {};
  return options.user || uid !== 0 || gid !== 0 ? { uid, gid } : undefined;
}

/** `directory` is resolved. */
export async function unpackIntoView(
  internals: Internals,
  view: ContainerView,
  directory: ByteString,
  tar: AsyncIterable<Uint8Array>,
  options: WriteArchiveOptions,
): Promise<void> {
  const { record, running } = view;
  const path = `/${textOfByteString(directory)}/`;
  const inMount = view.mounts.some((mount) => !mount.readOnly && path.startsWith(`${mount.path}/`));
  if (record.options.readOnly && !running && !inMount)
    throw new GantryError("failed-precondition", "container rootfs is marked read-only");
  const { toContainerUser, signal } = options;
  const user = toContainerUser ? userOf(internals, record) : undefined;
  await unpackInto(internals.executor(), `copy to container "${record.name}"`, view.whole(true), tar, {
    directory,
    owner: user,
    ids: view.outside,
    staging: internals.layout.root,
    ...(signal ? { signal } : {}),
  });
  internals.events.append("container", "extract-to-dir", record.id, containerAttributes(record));
}
