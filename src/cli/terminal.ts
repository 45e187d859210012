/** What standard output and standard error are connected to. */

/** The width of the terminal behind a descriptor; undefined if it is none. */
export function terminalColumns(fd: number): number | undefined {
  // most commands never ask, and loading it costs half a millisecond
  const tty = process.getBuiltinModule("node:tty");
  return tty.isatty(fd) ? new tty.WriteStream(fd).columns || 80 : undefined;
}
