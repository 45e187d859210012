/** What start and attach share: this program's streams become those of a container. */
import type { TerminalSize } from "../bundle/exec-process.ts";
import type { Container } from "../engine/containers/container.ts";
import type { CommandContext } from "./context.ts";
import { runInForeground } from "./foreground.ts";
import { openTerminal, refusesInput } from "./terminal.ts";

export interface AttachToOptions {
  /** Whether stdin is wanted; the container may have none. */
  readonly stdin: boolean;
  readonly detachKeys: string | undefined;
  readonly detachStatus: number;
  readonly proxySignals: boolean;
  /** Whether the program runs already. */
  readonly redraw?: boolean;
  /** Makes the connection. */
  connect(stdin: boolean, size: TerminalSize | undefined): Promise<void>;
}

/** Resolves to the exit status of the command. */
export async function attachTo(
  context: CommandContext,
  container: Container,
  options: AttachToOptions,
): Promise<number> {
  const { record } = await container.inspect({ signal: context.signal });
  const tty = record.options.terminal ?? false;
  const { detachKeys, detachStatus, redraw = false } = options;
  if (await refusesInput(context, { stdin: options.stdin, tty })) return 1;
  const stdin = options.stdin && record.openStdin;
  await using terminal = tty ? await openTerminal({ stdin, detachKeys, detachStatus, redraw }) : undefined;
  await options.connect(stdin, terminal?.size);
  return await runInForeground(context, container, {
    stdin,
    stdout: true,
    stderr: true,
    proxySignals: options.proxySignals,
    terminal,
    keepsStdin: !record.stdinOnce,
  });
}
