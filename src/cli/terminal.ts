/**
 * What standard output and standard error are connected to. Asked of the kernel's names, not of node:tty: its
 * stream classes take longer to load than most commands run.
 */
import { fstatSync, readlinkSync } from "node:fs";

function isTerminal(fd: 1 | 2): boolean {
  try {
    if (!fstatSync(fd).isCharacterDevice()) return false;
    return /^\/dev\/(pts\/\d|tty|console|hvc)/.test(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return false;
  }
}

/** The width of the terminal behind a descriptor; undefined if it is none. */
export function terminalColumns(fd: 1 | 2): number | undefined {
  if (!isTerminal(fd)) return undefined;
  return (fd === 1 ? process.stdout : process.stderr).columns || 80;
}
