/** Lists in the three forms that docker has: a table, a table of a template's fields, one line a row. Pure. */

import { goJson } from "../../base/template/template-functions.ts";
import { sanitize } from "./sanitize.ts";
import { compileTemplate } from "./template.ts";

/** A column: the name that templates use, its heading, and its value for a row. */
export interface Column<R> {
  readonly name: string;
  readonly heading: string;
  readonly value: (row: R) => unknown;
}

export interface ListingOptions {
  /** `json`, `table`, `table TEMPLATE` or TEMPLATE; absent means `table`. */
  readonly format?: string | undefined;
  /** The template of the plain table. */
  readonly standard: string;
  /** Methods with arguments, such as `.Label "key"`. */
  readonly methods?: Readonly<
    Record<string, { readonly heading: string; readonly call: (row: never, arg: unknown) => unknown }>
  >;
}

/** Docker's word for it. */
export const ignoredFormat = "WARNING: Ignoring custom format, because both --format and --quiet are set.\n";

/** The lines of a listing, each with its newline. */
export function formatListing<R>(
  rows: readonly R[],
  columns: readonly Column<R>[],
  options: ListingOptions,
): string {
  const format = options.format ?? "table";
  const context = (row: R) => {
    const entries: [string, unknown][] = columns.map(({ name, value }) => [name, value(row)]);
    for (const [name, { call }] of Object.entries(options.methods ?? {}))
      entries.push([name, (arg: unknown) => call(row as never, arg)]);
    return Object.fromEntries(entries);
  };
  if (format === "json" || format === "{{json .}}") {
    const plain = (row: R) =>
      Object.fromEntries(columns.map(({ name, value }) => [name, value(row)] as const).sort());
    return rows.map((row) => `${goJson(plain(row))}\n`).join("");
  }
  const isTable = format === "table" || format.startsWith("table ");
  const source =
    format === "table" ? options.standard : unescapeSlashes(isTable ? format.slice(6).trim() : format);
  const template = compileTemplate(source);
  const lines = rows.map((row) => template.run(context(row)));
  if (!isTable) return lines.map((line) => `${line}\n`).join("");
  const headings: [string, unknown][] = columns.map(({ name, heading }) => [name, heading]);
  for (const [name, { heading }] of Object.entries(options.methods ?? {}))
    headings.push([name, () => heading]);
  return alignColumns([compileTemplate(source).run(Object.fromEntries(headings)), ...lines]);
}

/** `\t` and `\n` as typed in a shell's single quotes. */
function unescapeSlashes(source: string): string {
  return source.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}

/** Aligns cells that are divided by tabs: columns at least so wide, 3 spaces between. */
export function alignColumns(lines: readonly string[], least = 10): string {
  const rows = lines.map((line) => sanitize(line, "\t").split("\t"));
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.slice(0, -1).entries())
      widths[index] = Math.max(widths[index] ?? least, displayWidth(cell) + 3);
  return rows
    .map((row) => {
      const cells = row.map((cell, index) =>
        index === row.length - 1 ? cell : cell + " ".repeat(widths[index]! - displayWidth(cell)),
      );
      return `${cells.join("")}\n`;
    })
    .join("");
}

function displayWidth(text: string): number {
  return [...text].length;
}
