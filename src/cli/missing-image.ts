/** What `run` and `create` print while they pull an image that is not here. */
import type { OnPullEvent } from "../images/progress.ts";
import type { CommandContext } from "./context.ts";
import { pullProgress } from "./pull-progress.ts";
import { terminalColumns } from "./terminal.ts";

/** All of it goes to standard error: standard output belongs to the container. */
export function missingImageProgress(
  context: CommandContext,
  options: { readonly quiet: boolean; readonly asked: boolean },
): { readonly onPull: OnPullEvent } {
  let progress: ReturnType<typeof pullProgress> | undefined;
  return {
    onPull(event) {
      if (event.kind === "resolving" && !options.asked)
        context.err(`Unable to find image '${event.reference}' locally\n`);
      if (options.quiet) return;
      progress ??= progressOnError(context);
      progress.onEvent(event);
    },
  };
}

function progressOnError(context: CommandContext): ReturnType<typeof pullProgress> {
  const columns = terminalColumns(2);
  return pullProgress({
    terminal: columns !== undefined,
    columns: columns ?? 80,
    write: (text) => context.err(text),
  });
}
