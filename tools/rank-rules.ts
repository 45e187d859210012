/** The rules that check-ranks.ts holds the sources to; pure, so that each has a test. */
import { posix } from "node:path";
import { type Architecture, homeOf } from "./architecture.ts";
import { scanImports } from "./import-scan.ts";

export interface SourceFile {
  /** From the top of the checkout, with forward slashes: "src/plan/encode.ts". */
  readonly path: string;
  readonly text: string;
}

interface Edge {
  readonly from: string;
  readonly line: number;
  /** A source file, or a package or node: module as it is written. */
  readonly to: string;
  readonly typeOnly: boolean;
}

/** Modules that read or change the machine; their types are harmless. */
const impure = new Set(
  [
    ...["fs", "fs/promises", "child_process", "net", "os", "http", "https", "http2", "dgram", "dns", "tls"],
    ...["dns/promises", "cluster", "worker_threads", "process", "readline", "repl", "tty", "vm", "inspector"],
  ].map((name) => `node:${name}`),
);

/** Folders and files below src/ that the table does not list. */
export function unlisted(files: readonly SourceFile[], { ranks }: Architecture): string[] {
  const lost = files
    .filter((file) => homeOf(file.path, ranks.keys()) === undefined)
    .map((file) => folderOf(file.path));
  return [...new Set(lost)].map((folder) => `${folder} is not in the ranks table of ARCHITECTURE.md`);
}

/** Imports from the own rank or from above; imports for types count too. */
export function againstTheRanks(files: readonly SourceFile[], { ranks }: Architecture): string[] {
  return edgesOf(files).flatMap(({ from, line, to }) => {
    const own = homeOf(from, ranks.keys());
    const other = homeOf(to, ranks.keys());
    if (own === undefined || other === undefined || own === other) return [];
    const [ownRank, otherRank] = [ranks.get(own)!, ranks.get(other)!];
    if (otherRank < ownRank) return [];
    const why =
      otherRank === ownRank ? `both have rank ${ownRank}` : `rank ${ownRank} imports rank ${otherRank}`;
    return [`${from}:${line} imports ${to}: ${why}; a folder imports from lower ranks only`];
  });
}

/** Imports of machine-touching modules where they do not belong. */
export function forbiddenModules(files: readonly SourceFile[], architecture: Architecture): string[] {
  return edgesOf(files.filter((file) => !isTest(file.path))).flatMap(({ from, line, to, typeOnly }) => {
    const where = `${from}:${line}`;
    if (to === "bun" || to.startsWith("bun:"))
      return [`${where} imports ${to}: the library runs on Node too`];
    if (isBuiltinWithoutPrefix(to)) return [`${where} imports ${to}: write node:${to}`];
    if (typeOnly || !to.startsWith("node:")) return [];
    if (homeOf(from, architecture.pure) !== undefined && impure.has(to)) {
      return [`${where} imports ${to}: ${homeOf(from, architecture.pure)} is pure, facts are handed to it`];
    }
    if (to === "node:child_process" && homeOf(from, architecture.mayStartProcesses) === undefined) {
      const allowed = architecture.mayStartProcesses.join(", ") || "no folder";
      return [`${where} imports node:child_process: only ${allowed} may start processes`];
    }
    return [];
  });
}

/** Rings of files that import each other's values, each named once, beginning with its smallest path. */
export function rings(files: readonly SourceFile[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, typeOnly } of edgesOf(files)) {
    if (!typeOnly) next.set(from, [...(next.get(from) ?? []), to]);
  }
  const found = new Set<string>();
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) return void found.add(ringText(path.slice(at)));
    if (done.has(file)) return;
    path.push(file);
    for (const other of next.get(file) ?? []) visit(other);
    path.pop();
    done.add(file);
  };
  for (const file of next.keys()) visit(file);
  return [...found].sort();
}

function ringText(ring: readonly string[]): string {
  const start = ring.indexOf([...ring].sort()[0]!);
  const turned = [...ring.slice(start), ...ring.slice(0, start)];
  return `ring of imports: ${[...turned, turned[0]].join(" -> ")}`;
}

function edgesOf(files: readonly SourceFile[]): Edge[] {
  return files.flatMap(({ path, text }) =>
    scanImports(text).map(({ specifier, typeOnly, line }) => {
      const to = specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier;
      return { from: path, line, to, typeOnly };
    }),
  );
}

function isBuiltinWithoutPrefix(specifier: string): boolean {
  return (
    impure.has(`node:${specifier}`) ||
    ["path", "util", "stream", "events", "crypto", "zlib"].includes(specifier)
  );
}

function isTest(path: string): boolean {
  return /\.(test|contract)\.ts$/.test(path);
}

/** "src/plan/x.ts" -> "src/plan/"; a file directly under src/ stands for itself. */
function folderOf(path: string): string {
  const parts = path.split("/");
  return parts.length > 2 ? `${parts[0]}/${parts[1]}/` : path;
}
