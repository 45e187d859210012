/** Reads from ARCHITECTURE.md what the code must obey: the ranks of folders, and who may start processes. */

export interface Architecture {
  /** Rank by folder ("src/base/") or file ("src/index.ts"). */
  readonly ranks: ReadonlyMap<string, number>;
  /** Folders that compute only: no node: module that reads or changes the machine. */
  readonly pure: readonly string[];
  /** Folders and files that may import node:child_process: `src/launch/`, and what the page adds. */
  readonly mayStartProcesses: readonly string[];
}

/**
 * The ranks stand in a table whose first columns are `rank`, `folder` and what lives there, with several
 * backticked folders a row; a row whose rank is not a number is not ranked, and one whose description ends in
 * "; pure" computes only. Who but `src/launch/` may start processes stands in a line of the form
 * "May start processes: `src/oci/hooks.ts`, …".
 */
export function parseArchitecture(markdown: string): Architecture {
  const ranks = new Map<string, number>();
  const pure: string[] = [];
  const lines = markdown.split("\n");
  const head = lines.findIndex((line) => /^\|\s*rank\s*\|\s*folder\s*\|/i.test(line));
  if (head < 0) throw new Error("ARCHITECTURE.md has no table that begins with | rank | folder |");
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith("|")) break;
    const [, rank = "", folders = "", description = ""] = line.split("|").map((cell) => cell.trim());
    for (const folder of backticked(folders)) {
      if (!/^\d+$/.test(rank) || !folder.startsWith("src/")) continue;
      if (ranks.has(folder)) throw new Error(`ARCHITECTURE.md lists ${folder} twice`);
      ranks.set(folder, Number(rank));
      if (/;\s*pure\.?$/.test(description)) pure.push(folder);
    }
  }
  if (ranks.size === 0) throw new Error("the ranks table of ARCHITECTURE.md names no folder under src/");
  const starters = lines.filter((line) => line.startsWith("May start processes:")).flatMap(backticked);
  return { ranks, pure, mayStartProcesses: ["src/launch/", ...starters] };
}

function backticked(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
}

/** The listed folder or file that a source file belongs to. */
export function homeOf(path: string, listed: Iterable<string>): string | undefined {
  for (const entry of listed)
    if (path === entry || (entry.endsWith("/") && path.startsWith(entry))) return entry;
  return undefined;
}
