/** `cp` between a container and the host, by docker's rules of what a path means. */
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { errnoOf, GantryError, wrapErrno } from "../../base/error.ts";
import { nameOf, parentOf } from "../../snapshots/layer-path.ts";
import { packTree } from "../../snapshots/pack.ts";
import { resolveInView } from "../../snapshots/resolve-in-view.ts";
import { TreeSession } from "../../snapshots/tree-session.ts";
import { unpackInto } from "../../snapshots/unpack-into.ts";
import { type ByteString, byteStringOf, textOfByteString } from "../../wire/tar-format.ts";
import type { Internals } from "../internals.ts";
import {
  assertsDirectory,
  missing,
  namesContent,
  openContainerPath,
  sessionName,
  topName,
  unpackIntoView,
} from "./archive.ts";
import { type ContainerView, openContainerView } from "./container-view.ts";

export interface CopyOptions {
  /** To a container: give all to its user. To the host: keep owners, which else become those of this process. */
  readonly archive?: boolean;
  /** Of the source, take what a symlink at its end leads to. */
  readonly followLink?: boolean;
  readonly signal?: AbortSignal;
}

/** Where something goes: into a directory, under a name ("." for what is in it alone). */
interface Destination {
  readonly directory: ByteString;
  readonly name: string;
}

/** docker's table: source (a directory or not) and destination (there, a directory, or asserted to be one). */
function placeOf(
  source: { readonly name: string; readonly isDirectory: boolean },
  destination: {
    readonly path: ByteString;
    readonly asserted: boolean;
    readonly exists: boolean;
    readonly isDirectory: boolean;
  },
): Destination {
  const { path, asserted, exists, isDirectory } = destination;
  if (exists && isDirectory) return { directory: path, name: source.name };
  if (exists && source.isDirectory) throw new GantryError("failed-precondition", "cannot copy directory");
  if (!source.isDirectory && asserted) throw new GantryError("failed-precondition", "no such directory");
  return { directory: parentOf(path), name: textOfByteString(nameOf(path)) };
}

/** Gives the number of bytes of the archive that went over. */
export async function copyToContainer(
  internals: Internals,
  id: string,
  localPath: string,
  containerPath: string,
  options: CopyOptions = {},
): Promise<number> {
  const { signal } = options;
  const cancellable = signal ? { signal } : {};
  const source = localSource(localPath, options.followLink ?? false);
  using view = await openContainerView(internals, id, cancellable);
  const place = await placeInContainer(internals, view, source, containerPath, cancellable);
  await using session = new TreeSession(internals.executor(), `copy "${localPath}"`, cancellable);
  const root = await session.open({ kind: "directory", path: source.directory });
  const counted = counting(
    packTree(session, root, {
      path: byteStringOf(source.base),
      name: byteStringOf(place.name),
      holes: true,
    }),
  );
  await unpackIntoView(internals, view, place.directory, counted.stream, {
    toContainerUser: options.archive ?? false,
    ...cancellable,
  });
  return counted.bytes();
}

async function placeInContainer(
  internals: Internals,
  view: ContainerView,
  source: LocalSource,
  path: string,
  cancellable: { readonly signal?: AbortSignal },
): Promise<Destination> {
  await using session = new TreeSession(internals.executor(), sessionName(view), cancellable);
  const root = await session.open(view.whole(false));
  const found = await resolveInView(session, root, byteStringOf(path), { follow: true });
  if (!found) throw missing(dirname(resolve("/", path)), view);
  const { entry } = found;
  if (entry && entry.type !== "directory" && entry.type !== "file")
    throw new GantryError(
      "failed-precondition",
      `destination "${view.record.name}:${path}" must be a directory or a regular file`,
      { detail: { path } },
    );
  return placeOf(source, {
    path: found.path,
    asserted: assertsDirectory(path),
    exists: entry !== undefined,
    isDirectory: entry?.type === "directory",
  });
}

/** Gives the number of bytes of the archive that went over. */
export async function copyFromContainer(
  internals: Internals,
  id: string,
  containerPath: string,
  localPath: string,
  options: CopyOptions = {},
): Promise<number> {
  const { archive = false, followLink = false, signal } = options;
  const cancellable = signal ? { signal } : {};
  const destination = localDestination(localPath);
  await using source = await openContainerPath(internals, id, containerPath, { followLink, ...cancellable });
  const { name, type } = source.stat;
  const place = placeOf({ name, isDirectory: type === "directory" }, destination);
  const counted = counting(source.pack(place.name, true));
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const directory = textOfByteString(place.directory);
  await unpackInto(
    internals.executor(),
    `copy to "${localPath}"`,
    { kind: "directory", path: realpathSync(directory === "" ? "/" : directory) },
    counted.stream,
    {
      directory: byteStringOf(""),
      ...(archive ? {} : { owner: own }),
      staging: internals.layout.root,
      ...cancellable,
    },
  );
  return counted.bytes();
}

function counting(tar: AsyncIterable<Uint8Array>) {
  let bytes = 0;
  const stream = (async function* () {
    for await (const chunk of tar) {
      bytes += chunk.length;
      yield chunk;
    }
  })();
  return { stream, bytes: () => bytes };
}

interface LocalSource {
  /** Real path. */
  readonly directory: string;
  /** In it; "" for "/". */
  readonly base: string;
  /** In the archive. */
  readonly name: string;
  readonly isDirectory: boolean;
}

function localSource(path: string, followLink: boolean): LocalSource {
  const content = namesContent(path);
  try {
    const whole = resolve(path);
    const real =
      followLink || assertsDirectory(path)
        ? realpathSync(whole)
        : join(realpathSync(dirname(whole)), basename(whole));
    const found = lstatSync(real);
    if (assertsDirectory(path) && !found.isDirectory())
      throw new GantryError("failed-precondition", `lstat ${path}: not a directory`);
    return {
      directory: dirname(real),
      base: basename(real),
      name: content ? "." : topName(whole),
      isDirectory: found.isDirectory(),
    };
  } catch (error) {
    if (errnoOf(error) === "ENOENT")
      throw new GantryError("not-found", `lstat ${resolve(path)}: no such file or directory`, {
        cause: error,
      });
    throw wrapErrno(error, "lstat", path);
  }
}

/** Symlinks at the end are followed; the directory above must be there. */
function localDestination(path: string) {
  let at = resolve(path);
  for (let links = 0; links < 10; links++) {
    let found: ReturnType<typeof lstatSync> | undefined;
    try {
      found = lstatSync(at, { throwIfNoEntry: false });
    } catch (error) {
      throw wrapErrno(error, "lstat", at);
    }
    if (!found) {
      if (!isDirectory(dirname(at)))
        throw new GantryError(
          "not-found",
          `invalid output path: directory ${JSON.stringify(dirname(at))} does not exist`,
          { detail: { path: dirname(at) } },
        );
      return { path: byteStringOf(at), asserted: assertsDirectory(path), exists: false, isDirectory: false };
    }
    if (!found.isSymbolicLink()) {
      if (!found.isDirectory() && !found.isFile())
        throw new GantryError(
          "failed-precondition",
          `invalid output path: ${JSON.stringify(at)} must be a directory or a regular file`,
          { detail: { path: at } },
        );
      const directory = found.isDirectory();
      if (!directory && assertsDirectory(path))
        throw new GantryError("failed-precondition", `${path}: not a directory`);
      return { path: byteStringOf(at), asserted: false, exists: true, isDirectory: directory };
    }
    at = resolve(dirname(at), readlinkSync(at));
  }
  throw new GantryError("failed-precondition", `${path}: too many levels of symbolic links`);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
