/**
 * Reads a file of a root that nobody has mounted: finds it in the layers as overlay would.
 *
 * Each directory is opened below the descriptor of the one above it, by /proc/self/fd and with
 * O_NOFOLLOW, so that a container that swaps a directory for a symlink meanwhile leads nowhere.
 * node:fs reads no extended attributes; opaque directories of layers stand in their records. In an
 * upper directory the kernel's own marks cannot be seen: a directory that a container deleted and
 * made again shows what lower layers had in it.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { type ByteString, byteStringOf } from "../wire/tar-format.ts";

export interface RootLayer {
  readonly directory: string;
  readonly opaque: ReadonlySet<string>;
}

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
// O_PATH, which node:fs does not name: what is found is looked at before it is really opened, since opening a
// device can do harm and a running container may swap what is there. The same number on x86-64 and arm64.
const openPlace = 0o10000000 | constants.O_NOFOLLOW;

/** A directory of the merged root: its path and the directories that make it up, top first. */
interface Merged {
  readonly path: ByteString;
  readonly parts: readonly { readonly fd: number; readonly layer: RootLayer }[];
}

type Found =
  | { readonly kind: "directory"; readonly merged: Merged }
  | { readonly kind: "symlink"; readonly target: ByteString }
  | { readonly kind: "file"; readonly fd: number }
  | { readonly kind: "other" };

const below = (fd: number, name: ByteString) => Buffer.from(`/proc/self/fd/${fd}/${name}`, "latin1");

function statBelow(fd: number, name: ByteString) {
  try {
    return lstatSync(below(fd, name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Looks for `name` in a merged directory. Descriptors that it opens go to `opened`. */
function lookUp(directory: Merged, name: ByteString, opened: number[]): Found | undefined {
  const path = (directory.path === "" ? name : `${directory.path}/${name}`) as ByteString;
  const parts: { fd: number; layer: RootLayer }[] = [];
  for (const { fd, layer } of directory.parts) {
    const stat = statBelow(fd, name);
    if (!stat) continue;
    const whiteout = stat.isCharacterDevice() && stat.rdev === 0;
    if (!stat.isDirectory() || whiteout) {
      if (parts.length > 0) break;
      if (whiteout) return undefined;
      if (stat.isSymbolicLink())
        return {
          kind: "symlink",
          target: readlinkSync(below(fd, name), "buffer").toString("latin1") as ByteString,
        };
      const place = openSync(below(fd, name), openPlace);
      opened.push(place);
      if (!fstatSync(place).isFile()) return { kind: "other" };
      const file = openSync(`/proc/self/fd/${place}`, constants.O_RDONLY);
      opened.push(file);
      return { kind: "file", fd: file };
    }
    const inner = openSync(below(fd, name), openDirectory);
    opened.push(inner);
    parts.push({ fd: inner, layer });
    if (layer.opaque.has(path)) break;
  }
  return parts.length === 0 ? undefined : { kind: "directory", merged: { path, parts } };
}

function readWhole(fd: number, limitBytes: number, path: string): Uint8Array {
  const { size } = fstatSync(fd);
  const tooLong = () =>
    new GantryError("resource-exhausted", `read "${path}" in root: longer than ${limitBytes} bytes`);
  if (size > limitBytes) throw tooLong();
  // one more than the limit: the file may grow meanwhile
  const bytes = Buffer.allocUnsafe(Math.min(size + 1, limitBytes + 1));
  let length = 0;
  for (;;) {
    const taken = readSync(fd, bytes, length, bytes.length - length, null);
    length += taken;
    if (length > limitBytes) throw tooLong();
    if (taken === 0 || length === bytes.length) return bytes.subarray(0, length);
  }
}

/** The bytes of the regular file at `path`; undefined if there is none, failed-precondition if it is no file. */
export function readInRoot(
  layers: readonly RootLayer[],
  path: string,
  limitBytes = 1024 * 1024,
): Uint8Array | undefined {
  const opened: number[] = [];
  const wanted = () => JSON.stringify(path);
  try {
    const parts: { fd: number; layer: RootLayer }[] = [];
    for (const layer of layers) {
      const fd = openSync(layer.directory, openDirectory);
      opened.push(fd);
      parts.push({ fd, layer });
      if (layer.opaque.has("")) break;
    }
    const root: Merged = { path: "" as ByteString, parts };
    const stack: Merged[] = [root];
    let rest = byteStringOf(path).split("/") as ByteString[];
    for (let links = 0; ; ) {
      const name = rest.shift();
      if (name === undefined)
        throw new GantryError("failed-precondition", `read ${wanted()} in root: is a directory`);
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (stack.length > 1) stack.pop();
        continue;
      }
      const found = lookUp(stack.at(-1)!, name, opened);
      switch (found?.kind) {
        case undefined:
          return undefined;
        case "directory":
          stack.push(found.merged);
          break;
        case "symlink":
          if (++links > 40)
            throw new GantryError("failed-precondition", `read ${wanted()} in root: too many symbolic links`);
          if (found.target.startsWith("/")) stack.length = 1;
          rest = [...(found.target.split("/") as ByteString[]), ...rest];
          break;
        case "file":
          return rest.length === 0 ? readWhole(found.fd, limitBytes, path) : undefined;
        case "other":
          if (rest.length > 0) return undefined;
          throw new GantryError("failed-precondition", `read ${wanted()} in root: not a regular file`);
        default:
          found satisfies never;
      }
    }
  } catch (error) {
    throw wrapErrno(error, "read in root", path);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
