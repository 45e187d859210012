/** `-v` and `--tmpfs`: docker's short ways to write a mount. Pure but for the client's working directory. */
import { isAbsolute, resolve } from "node:path";
import type { MountOption, MountPropagation, TmpfsMountOption } from "../../bundle/container-options.ts";

export const propagations: readonly string[] = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
];

export function target(path: string, whole: string): string {
  if (!isAbsolute(path)) throw new Error(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = resolve("/", path);
  if (clean === "/") throw new Error(`invalid specification: destination can't be '/' in '${whole}'`);
  return clean;
}

/** What each word of a mode is about; a mode has at most one word of a kind. */
const modeKinds: Readonly<Record<string, string>> = {
  ...{ rw: "write", ro: "write", "ro-non-recursive": "write", "ro-force-recursive": "write", rro: "write" },
  ...{ z: "label", Z: "label", nocopy: "copy" },
  ...{ consistent: "consistency", cached: "consistency", delegated: "consistency" },
  ...Object.fromEntries(propagations.map((name) => [name, "propagation"])),
};

function readMode(mode: string): readonly string[] {
  const words = mode === "" ? [] : mode.split(",");
  const kinds = words.map((word) => modeKinds[word]);
  if (kinds.includes(undefined) || new Set(kinds).size !== kinds.length)
    throw new Error(`invalid mode: ${mode}`);
  return words;
}

/**
 * `-v /host:/path[:mode]`, `-v name:/path[:mode]`, `-v /path`. SELinux labels and Docker Desktop's hints have no
 * meaning here, and every script that gives them runs on.
 */
export function parseVolume(text: string, cwd = process.cwd()): MountOption {
  if (text === "") throw new Error("invalid empty volume spec");
  const parts = text.split(":");
  if (parts.some((part) => part === ""))
    throw new Error(`invalid spec: ${text}: empty section between colons`);
  if (parts.length > 3) throw new Error(`invalid volume specification: '${text}'`);
  const [first, second, mode = ""] = parts as [string, string | undefined, string | undefined];
  if (second === undefined) return { kind: "volume", target: target(first, text) };
  if (parts.length === 2 && isMode(second)) throw new Error(`invalid volume specification: '${text}'`);
  const words = readMode(mode);
  const readOnly = words.some((word) => word.startsWith("ro") || word === "rro");
  const propagation = words.find((word) => propagations.includes(word)) as MountPropagation | undefined;
  const depth = words.includes("ro-non-recursive") ? { readOnlyDepth: "top" as const } : {};
  if (isAbsolute(first) || /^\.{1,2}(\/|$)/.test(first))
    return {
      kind: "bind",
      source: resolve(cwd, first),
      target: target(second, text),
      readOnly,
      ...depth,
      ...(propagation ? { propagation } : {}),
      createSource: true,
    };
  const bindOnly = propagation ?? words.find((word) => word.startsWith("ro-") || word === "rro");
  if (bindOnly)
    throw new Error(
      `invalid volume specification: '${text}': invalid mount config for type "volume": field BindOptions must not be specified`,
    );
  return {
    kind: "volume",
    source: first,
    target: target(second, text),
    ...(readOnly ? { readOnly } : {}),
    ...(words.includes("nocopy") ? { noCopy: true } : {}),
  };
}

function isMode(text: string): boolean {
  return text.split(",").every((word) => Object.hasOwn(modeKinds, word));
}

/** `/path[:size=64m,mode=1770]`. */
export function parseTmpfs(text: string): TmpfsMountOption {
  const colon = text.indexOf(":");
  const path = colon < 0 ? text : text.slice(0, colon);
  const options =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(",")
          .filter(Boolean);
  return { kind: "tmpfs", target: target(path, text), options };
}
