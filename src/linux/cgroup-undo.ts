/** What gives a file of a cgroup back the value that it had before a write. */

export interface FileWrite {
  readonly file: string;
  readonly value: string;
}

/** Files with a line for each device or interface: what a line says that stands for "nothing was set". */
const unsetLines: readonly (readonly [file: RegExp, unset: string])[] = [
  [/^io\.max$/, "rbps=max wbps=max riops=max wiops=max"],
  [/^io\.(bfq\.)?weight$/, "default"],
  [/^blkio\..*_device$/, "0"],
  [/^rdma\.max$/, "hca_handle=max hca_object=max"],
  [/^net_prio\.ifpriomap$/, "0"],
];

/** The device or interface that a line is about. */
function keyOf({ file, value }: FileWrite): string | undefined {
  const [first = "", second] = value.split(" ", 2);
  if (second === undefined) return undefined;
  return /^\d+:\d+$/.test(first) || file === "rdma.max" || file === "net_prio.ifpriomap" ? first : undefined;
}

/**
 * The value to write; undefined where nothing can or need be done. `before` is the file's text from before the
 * write, undefined if there is no such file.
 */
export function undoValue(write: FileWrite, before: string | undefined): string | undefined {
  if (before === undefined) return undefined;
  const lines = before.split("\n").filter((line) => line !== "");
  const key = keyOf(write);
  if (key !== undefined) {
    const line = lines.find((one) => one.startsWith(`${key} `));
    const unset = unsetLines.find(([file]) => file.test(write.file))?.[1];
    return line ?? (unset === undefined ? undefined : `${key} ${unset}`);
  }
  const [first = ""] = lines;
  if (write.file === "memory.oom_control") return /^oom_kill_disable (\d)$/m.exec(before)?.[1];
  // an idle group shows 0 and takes no weight
  if (write.file === "cpu.weight" && first === "0") return undefined;
  // an empty list of CPUs or nodes is written as an empty line: nothing at all would not be written
  return first === "" ? "\n" : first;
}
