/** What standard output and standard error are connected to. */
import { isatty, WriteStream } from "node:tty";

/** The width of the terminal behind a descriptor; undefined if it is none. */
export function terminalColumns(fd: number): number | undefined {
  if (!isatty(fd)) return undefined;
  return new WriteStream(fd).columns || 80;
}
