import { readdirSync, readFileSync } from "node:fs";

/** The processes that a process has started by itself, whichever of its threads did; none of one that has ended. */
export function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      startedBy(`/proc/${pid}/task/${task}/children`),
    );
  } catch {
    return [];
  }
}

function startedBy(path: string): readonly number[] {
  try {
    return readFileSync(path, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
