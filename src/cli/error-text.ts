/** Failures in docker's words and exit statuses: what scripts match. One table for the whole command line. */
import { isGantryError } from "../base/error.ts";
import { TemplateError, TemplateExecutionError } from "../base/template/template-parse.ts";
import { sanitize } from "./format/sanitize.ts";
import { UsageError } from "./options.ts";

/** Commands whose own failure has status 125, and whose users are pointed to the help. */
const launching: ReadonlySet<string> = new Set(["run", "explain run"]);

/** Where to read on, as docker ends its complaints. */
export function helpHint(command: string): string {
  return `Run 'gantry ${command} --help' for more information`;
}

/** What is printed for a failed command, with its newline. */
export function errorText(error: unknown, command: string): string {
  const help = error instanceof UsageError || launching.has(command) ? `\n\n${helpHint(command)}` : "";
  return `gantry: ${messageOf(error)}${error instanceof TemplateError ? "" : help}\n`;
}

/** The message of any error, safe to show on a terminal. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return sanitize(error instanceof Error ? error.message : String(error), "\n\t");
}

/** As dockerd reads it out of what the runtime said of an exec that it could not start. */
function execStatusOf(message: string): number {
  if (/executable file not found|no such file or directory/.test(message)) return 127;
  return /permission denied|is a directory/.test(message) ? 126 : 128;
}

/**
 * 126 where the program of the container cannot be run, 127 where it is not there, else 125 for commands that launch
 * and 1 for all others.
 */
export function exitStatusOf(error: unknown, command: string): number {
  if (error instanceof TemplateExecutionError) return 1;
  if (error instanceof TemplateError) return 64;
  if (error instanceof UsageError) return 125;
  if (!isGantryError(error) && !(error instanceof Error)) return 1;
  if (launching.has(command) || command === "start" || command === "exec") {
    const status = isGantryError(error) ? error.detail.status : undefined;
    if (status === 126 || status === 127) return status;
  }
  if (command === "exec" && isGantryError(error) && error.detail.stage !== undefined)
    return execStatusOf(error.message);
  return launching.has(command) ? 125 : 1;
}
