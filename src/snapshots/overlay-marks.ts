/** How overlay writes down in an upper directory what is to hide things of the layers below. Pure. */
import type { TarXattr } from "../wire/tar-format.ts";
import type { TreeEntry } from "./tree-entry.ts";

const prefix = "trusted.overlay.";

export function isOverlayXattr({ name }: TarXattr): boolean {
  return name.startsWith(prefix);
}

/** Hides one name. */
export function isWhiteout({ type, major, minor }: TreeEntry): boolean {
  return type === "character-device" && major === 0 && minor === 0;
}

export function hasOverlayMark({ xattrs }: TreeEntry, mark: "redirect" | "metacopy"): boolean {
  return xattrs.some(({ name }) => name === prefix + mark);
}

/** Hides all that the layers below have in a directory. */
export function isOpaque({ xattrs }: TreeEntry): boolean {
  const mark = xattrs.find(({ name }) => name === `${prefix}opaque`);
  return mark !== undefined && Buffer.from(mark.value).toString("latin1") === "y";
}
