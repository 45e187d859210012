/** Prints what containers use: once, or on a screen that is drawn anew every second. */
import type { Container } from "../engine/containers/container.ts";
import { sampleEach } from "../engine/containers/sample-each.ts";
import type { ContainerStats } from "../engine/containers/stats.ts";
import type { CommandContext } from "./context.ts";
import { messageOf } from "./error-text.ts";
import { flag, text, type ValuesOf } from "./options.ts";

/** To the top of the screen, and nothing below. */
const clearScreen = "\x1b[H\x1b[J";

export const statsOptions = {
  format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go TEMPLATE"),
  "no-stream": flag("Disable streaming stats and only pull the first result"),
  "no-trunc": flag("Do not truncate output"),
};

/** 1 if one of them could not be looked at. */
export async function printStats(
  context: CommandContext,
  values: ValuesOf<typeof statsOptions>,
  choose: () => Promise<readonly Container[]>,
  print: (rows: readonly ContainerStats[]) => string,
): Promise<number> {
  let status = 0;
  const stream = !values["no-stream"];
  // escape sequences are of no use to who reads lines or JSON
  const clears = stream && (values.format === undefined || values.format.startsWith("table"));
  const options = {
    stream,
    signal: context.signal,
    onError(error: unknown) {
      context.err(`gantry: ${messageOf(error)}\n`);
      status = 1;
    },
  };
  for await (const rows of sampleEach(choose, options)) {
    context.out((clears ? clearScreen : "") + print(rows));
    if (context.closed) break;
  }
  return status;
}
