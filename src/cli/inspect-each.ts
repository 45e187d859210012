/** `inspect` of anything: each name is tried, failures are told one by one, and what was found is shown together. */
import { isGantryError } from "../base/error.ts";
import type { CommandContext } from "./context.ts";
import { messageOf } from "./error-text.ts";
import { compileTemplate } from "./format/template.ts";
import { text } from "./options.ts";

export const formatOption = text("Format output: 'json' or a Go TEMPLATE", { short: "f" });

export interface InspectEach {
  readonly names: readonly string[];
  readonly format: string | undefined;
  viewOf(name: string): Promise<object>;
  /** All of them without a format; undefined prints nothing. Default: an indented list. */
  readonly document?: (views: readonly object[]) => string | undefined;
}

const indentedList = (views: readonly object[]) => JSON.stringify(views, undefined, 4);

/** 1 if any of them failed. */
export async function inspectEach(context: CommandContext, asked: InspectEach): Promise<number> {
  const { names, format, document = indentedList } = asked;
  const template = format === undefined || format === "json" ? undefined : compileTemplate(format);
  const views: object[] = [];
  let status = 0;
  for (const name of names) {
    try {
      views.push(await asked.viewOf(name));
    } catch (error) {
      if (!isGantryError(error)) throw error;
      context.err(`gantry: ${messageOf(error)}\n`);
      status = 1;
    }
  }
  const lines = template
    ? views.map((view) => template.run(view))
    : format === "json"
      ? views.map((view) => JSON.stringify(view))
      : [document(views)];
  for (const line of lines) if (line !== undefined) context.out(`${line}\n`);
  return status;
}
