/**
 * What standard output and standard error are connected to. Asked of the kernel's names, not of node:tty: its
 * stream classes take longer to load than most commands run.
 */
import { fstatSync, readlinkSync } from "node:fs";
import type { TerminalSession, TerminalSessionOptions } from "./terminal-session.ts";

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

/** Says so, as docker does, where a terminal was asked for and what is typed does not come from one. */
export async function refusesInput(
  context: { err(text: string): void },
  { stdin, tty }: { readonly stdin: boolean; readonly tty: boolean },
): Promise<boolean> {
  if (!stdin || !tty || (await import("node:tty")).isatty(0)) return false;
  context.err("the input device is not a TTY\n");
  return true;
}

/** Takes part in the terminal of a container. */
export async function openTerminal(options: TerminalSessionOptions): Promise<TerminalSession> {
  const { TerminalSession } = await import("./terminal-session.ts");
  return await TerminalSession.open(options);
}
