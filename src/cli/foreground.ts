/**
 * A container, or an exec, in the foreground: its output on this program's descriptors, this program's input and
 * signals for it, its exit status as this program's own.
 */
import { isGantryError } from "../base/error.ts";
import type { TerminalSize } from "../bundle/exec-process.ts";
import type { ContainerInput } from "../engine/containers/attached-streams.ts";
import type { OutputStream } from "../engine/containers/output-stream.ts";
import type { CommandContext } from "./context.ts";
import { Outlet } from "./outlet.ts";
import type { TerminalSession } from "./terminal-session.ts";

/** What a container and an exec have in common. */
export interface ForegroundProcess {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: ContainerInput;
  kill(signalName: string): Promise<void>;
  wait(): Promise<number>;
  resize(size: TerminalSize): Promise<void>;
  /** Lets go of it. */
  detach(): Promise<void>;
  /** Ends it when nobody reads its output any more. */
  stop?(options: { readonly timeoutSeconds: number }): Promise<void>;
}

export interface ForegroundOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Without a terminal, where the keyboard sends them. */
  readonly proxySignals: boolean;
  readonly terminal?: TerminalSession | undefined;
  /** Leave stdin open for others when ours is at its end. */
  readonly keepsStdin?: boolean;
}

/** Those that a user or a supervisor sends; what the kernel sends for a fault stays here. */
const proxied = [
  ...(["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGCONT"] as const),
  ...(["SIGWINCH", "SIGIO", "SIGPWR"] as const),
] as const;

/** How much may be typed into a terminal that its program does not read before nobody listens any more. */
const typedAheadBytes = 1024 * 1024;
/** So many requests to end in a row end this client, whatever the container makes of them. */
const patience = 3;
/** What a container gets to end by itself when nobody reads its output any more. */
const orphanSeconds = 1;
/** 128 + SIGPIPE. */
const brokenPipeStatus = 141;

/** Resolves to the exit status of the process. */
export async function runInForeground(
  context: CommandContext,
  container: ForegroundProcess,
  options: ForegroundOptions,
): Promise<number> {
  context.releaseSignals();
  const { terminal } = options;
  const leave = Promise.withResolvers<number>();
  let released = false;
  const letGo = (status: number) => {
    released = true;
    leave.resolve(status);
  };
  const stopProxying =
    options.proxySignals && !terminal
      ? proxySignals(context, container, leave.resolve)
      : endOnSignals(leave.resolve);
  try {
    // before anything is shown: what prints carriage returns of its own needs none of the terminal outside
    await terminal?.begin((size) => container.resize(size));
    const outputs = [
      pump(container.stdout, options.stdout ? 1 : undefined),
      pump(container.stderr, options.stderr ? 2 : undefined),
    ];
    const readerGone = new Promise<void>((resolve, reject) => {
      for (const output of outputs) output.then((end) => end === "gone" && resolve(), reject);
    });
    if (options.stdin)
      feed(container, options, letGo).catch((error) =>
        context.logger.debug("stdin ended", { error: String(error) }),
      );
    const ended = Promise.all(outputs).then(async (ends) => {
      const status = await container.wait();
      return ends.includes("gone") ? brokenPipeStatus : status;
    });
    // as the end of a pipeline ends a program of it
    const orphaned = readerGone.then(async () => {
      await container.stop?.({ timeoutSeconds: orphanSeconds });
      return brokenPipeStatus;
    });
    for (const each of [ended, orphaned]) each.catch(() => {});
    return await Promise.race([ended, orphaned, leave.promise]);
  } finally {
    await terminal?.[Symbol.asyncDispose]();
    stopProxying();
    // docker's word for it, where letting go counts as a failure
    if (released && terminal?.detachStatus !== 0) context.err("read escape sequence\n");
  }
}

/** Writes a stream to a descriptor; "gone" when nobody reads that descriptor any more. */
async function pump(stream: OutputStream, fd: number | undefined): Promise<"ended" | "gone"> {
  using outlet = fd === undefined ? undefined : new Outlet(fd);
  for await (const chunks of stream.batches()) if (outlet && !(await outlet.write(chunks))) return "gone";
  return "ended";
}

async function feed(
  container: ForegroundProcess,
  { terminal, keepsStdin }: ForegroundOptions,
  leave: (status: number) => void,
): Promise<void> {
  const { stdin } = container;
  let pending = 0;
  for await (const chunk of process.stdin) {
    const typed = terminal?.scanner.take(chunk as Uint8Array) ?? {
      bytes: chunk as Uint8Array,
      detached: false,
    };
    const { length } = typed.bytes;
    pending += length;
    const written = (length > 0 ? stdin.write(typed.bytes) : Promise.resolve()).then(() => {
      pending -= length;
    });
    if (terminal && typed.detached) {
      await container.detach();
      return leave(terminal.detachStatus);
    }
    // the keys must be found also behind what the program does not read
    if (!terminal || pending > typedAheadBytes) await written;
    else written.catch(() => {});
  }
  if (!keepsStdin) await stdin.end();
}

function proxySignals(
  context: CommandContext,
  container: ForegroundProcess,
  leave: (status: number) => void,
): () => void {
  let asked = 0;
  const handlers = proxied.map((name) => {
    const handler = () => {
      if ((name === "SIGINT" || name === "SIGTERM") && ++asked >= patience) {
        context.err(`got ${patience} SIGTERM/SIGINTs, forcefully exiting\n`);
        return leave(name === "SIGINT" ? 130 : 143);
      }
      container.kill(name).catch((error) => {
        // it has just ended: its status comes
        if (!isGantryError(error)) throw error;
        context.logger.debug("signal not delivered", { signal: name, error: error.message });
      });
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return () => {
    for (const stop of handlers) stop();
  };
}

/** Without --sig-proxy the signals end this client, and the container runs on. */
function endOnSignals(leave: (status: number) => void): () => void {
  const handlers = (
    [
      ["SIGHUP", 129],
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const
  ).map(([name, status]) => {
    const handler = () => leave(status);
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return () => {
    for (const stop of handlers) stop();
  };
}
