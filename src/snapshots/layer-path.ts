/** Paths of layer members: cleaned of what archives put into them, and the names that mean deletion. */
import { GantryError } from "../base/error.ts";
import { type ByteString, textOfByteString } from "../wire/tar-format.ts";

export const rootPath = "" as ByteString;

/**
 * `./usr//bin/` becomes `usr/bin`, `/` becomes the empty path. Absolute paths are of the root. `..`
 * goes up as in a text; above the root it is refused (docker refuses it too, containerd stays in the root).
 */
export function cleanPath(path: ByteString): ByteString {
  // what most members have: nothing to clean but the slash that ends a directory's name
  const first = path.charCodeAt(0);
  if (first !== 0x2f && first !== 0x2e && !path.includes("/.") && !path.includes("//"))
    return (path.endsWith("/") ? path.slice(0, -1) : path) as ByteString;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined)
      throw new GantryError(
        "invalid-argument",
        `apply layer: member ${JSON.stringify(textOfByteString(path))} leaves the root`,
        { detail: { entry: textOfByteString(path) } },
      );
  }
  return parts.join("/") as ByteString;
}

export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf("/"))) as ByteString;
}

export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf("/") + 1) as ByteString;
}

export function join(parent: ByteString, name: ByteString): ByteString {
  return (parent === "" ? name : `${parent}/${name}`) as ByteString;
}

export type Whiteout =
  /** hides one path of the layers below */
  | { readonly kind: "path"; readonly path: ByteString }
  /** hides all that the layers below have in a directory */
  | { readonly kind: "directory"; readonly path: ByteString }
  /** bookkeeping of AUFS, of no meaning to anybody else */
  | { readonly kind: "aufs" };

/** Reads the whiteout names of image-spec layer.md; undefined for all other members. */
export function whiteoutOf(path: ByteString): Whiteout | undefined {
  const name = nameOf(path);
  if (!name.startsWith(".wh.")) return undefined;
  const parent = parentOf(path);
  if (name === ".wh..wh..opq") return { kind: "directory", path: parent };
  if (name.startsWith(".wh..wh.")) return { kind: "aufs" };
  const hidden = name.slice(4) as ByteString;
  if (hidden === "" || hidden === "." || hidden === "..")
    throw new GantryError(
      "invalid-argument",
      `apply layer: whiteout ${JSON.stringify(textOfByteString(path))} names no file`,
      { detail: { entry: textOfByteString(path) } },
    );
  return { kind: "path", path: join(parent, hidden) };
}
