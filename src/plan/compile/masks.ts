/** `linux.maskedPaths`, `linux.readonlyPaths` and `root.readonly`; all before pivot, on descriptors. */
import { refuse } from "../../base/decode.ts";
import { type Draft, rootRegister } from "./draft.ts";

/** MOUNT_ATTR_RDONLY of mount_setattr(2). */
const readOnly = 1;

function checkAbsolute(path: string, pointer: string): void {
  if (!path.startsWith("/")) refuse(pointer, `${JSON.stringify(path)} is not an absolute path`);
}

export function hidePaths(draft: Draft): void {
  const { readonlyPaths = [], maskedPaths = [] } = draft.linux;
  for (const [index, path] of readonlyPaths.entries()) {
    const where = `/linux/readonlyPaths/${index}`;
    checkAbsolute(path, where);
    draft.child.push({
      op: "readonly-path",
      where,
      phrase: `can't make ${JSON.stringify(path)} read-only`,
      root: rootRegister,
      path,
    });
  }
  for (const [index, path] of maskedPaths.entries()) {
    const where = `/linux/maskedPaths/${index}`;
    checkAbsolute(path, where);
    draft.child.push({
      op: "mask-path",
      where,
      phrase: `can't mask path ${JSON.stringify(path)}`,
      root: rootRegister,
      path,
    });
  }
}

/** The mount of the root alone: what is mounted in it keeps its own attributes. */
export function makeRootReadOnly(draft: Draft): void {
  if (!draft.config.root?.readonly) return;
  draft.child.push({
    op: "set-mount-attributes",
    where: "/root/readonly",
    phrase: "error setting rootfs as readonly",
    fd: rootRegister,
    set: readOnly,
    clear: 0,
    propagation: 0,
    recursive: 0,
    userns: undefined,
  });
}
