/** One command from its arguments to its exit status, with its errors told in docker's words. */
import { catalog, findCommand, secondWords } from "./catalog.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { helpHint } from "./error-text.ts";
import { globalOptions } from "./help.ts";
import { type ParsedArguments, parseArguments, UsageError } from "./options.ts";
import { Output } from "./output.ts";

/** The engine's own failures: docker's 125. */
const exitEngineError = 125;

/** Runs the program; resolves to its exit status. */
export async function runProgram(args: readonly string[]): Promise<number> {
  return await dispatch(args, new Output());
}

async function dispatch(args: readonly string[], output: Output): Promise<number> {
  let globals: ParsedArguments<typeof globalOptions>;
  try {
    globals = parseArguments(globalOptions, args, false);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    output.err(
      `${error.message}\n\nUsage:  gantry [OPTIONS] COMMAND [ARG...]\n\nRun 'gantry --help' for more information\n`,
    );
    return exitEngineError;
  }
  let words = globals.positionals;
  if (globals.values.version) words = ["version"];
  if (words[0] === "help") words = [...words.slice(1), "--help"];
  if (globals.help || words.length === 0 || words[0] === "--help") {
    const { programHelp } = await import("./help.ts");
    output.out(programHelp());
    return 0;
  }
  const found = findCommand(words);
  if (!found) return unknownCommand(words, output);
  const command = await catalog[found.name]!.load();
  return await runCommand(command, found.args, globals.values, output);
}

function unknownCommand(words: readonly string[], output: Output): number {
  const first = words[0]!;
  const seconds = secondWords(first);
  if (seconds.length > 0) {
    output.err(`Usage:  gantry ${first} COMMAND\n\nCommands: ${seconds.join(", ")}\n`);
    return words.length > 1 && words[1] !== "--help" ? 1 : 0;
  }
  output.err(
    `gantry: unknown command: gantry ${JSON.stringify(first).slice(1, -1)}\n\nRun 'gantry --help' for more information\n`,
  );
  return 1;
}

async function runCommand(
  command: Command,
  args: readonly string[],
  globals: ParsedArguments<typeof globalOptions>["values"],
  output: Output,
): Promise<number> {
  const { commandHelp, usageOf } = await import("./help.ts");
  let parsed: ParsedArguments<typeof command.options>;
  try {
    parsed = parseArguments(command.options, args, !command.stopsAtFirstArgument);
    if (parsed.help) {
      output.out(commandHelp(command));
      return 0;
    }
    const wrong = argumentsError(command, parsed.positionals.length);
    if (wrong) {
      output.err(`gantry: ${wrong}\n\n${usageOf(command)}\n\n${helpHint(command.name)}\n`);
      return 1;
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    output.err(`${error.message}\n\n${usageOf(command)}\n\n${helpHint(command.name)}\n`);
    return exitEngineError;
  }
  const { Session } = await import("./session.ts");
  await using session = new Session(globals, output);
  try {
    return await command.run(session satisfies CommandContext, parsed);
  } catch (error) {
    return session.fail(command, error);
  }
}

function argumentsError(command: Command, count: number): string | undefined {
  const { minArguments: min, maxArguments: max, name } = command;
  const plural = (number: number) => `${number} argument${number === 1 ? "" : "s"}`;
  if (max === 0 && count > 0) return `'gantry ${name}' accepts no arguments`;
  if (min === max && count !== min) return `'gantry ${name}' requires ${plural(min)}`;
  if (count < min) return `'gantry ${name}' requires at least ${plural(min)}`;
  if (max !== undefined && count > max) return `'gantry ${name}' requires at most ${plural(max)}`;
  return undefined;
}
