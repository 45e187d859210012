/** Variables and labels: from the command line, from files, and from the client's own environment. */
import { readFileSync } from "node:fs";
import { wrapErrno } from "../../base/error.ts";

const fileLimit = 4 * 1024 * 1024;

/**
 * `--env-file` and `-e` in the order of precedence: files first, later wins. `NAME` without a value takes the
 * client's. Where the client has none, it counts for nothing in a file, and with `-e` takes away the image's.
 */
export function gatherEnvironment(
  files: readonly string[],
  given: readonly string[],
  own: NodeJS.ProcessEnv = process.env,
): readonly string[] {
  const variables = new Map<string, string>();
  const take = (entry: string, otherwise?: string) => {
    const equals = entry.indexOf("=");
    const name = equals < 0 ? entry : entry.slice(0, equals);
    if (name === "") throw new Error(`invalid environment variable: ${entry}`);
    const value = equals < 0 ? own[name] : entry.slice(equals + 1);
    if (value !== undefined) variables.set(name, `${name}=${value}`);
    else if (otherwise !== undefined) variables.set(name, otherwise);
  };
  for (const path of files) for (const entry of readVariableFile(path)) take(entry);
  for (const entry of given) take(entry, entry);
  return [...variables.values()];
}

/** Lines `NAME=value` or `NAME`; empty lines and those that begin with # count for nothing. */
export function parseVariableFile(text: string, path: string): readonly string[] {
  const entries: string[] = [];
  for (const [index, raw] of text
    .replace(/^\ufeff/, "")
    .split("\n")
    .entries()) {
    const line = raw.replace(/\r$/, "").trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const name = line.split("=", 1)[0]!;
    if (name === "") throw new Error(`no variable name on line '${line.slice(0, 200)}'`);
    if (/\s/.test(name))
      throw new Error(
        `invalid env file (${path}): line ${index + 1}: variable '${name.slice(0, 200)}' contains whitespaces`,
      );
    entries.push(line);
  }
  return entries;
}

function readVariableFile(path: string): readonly string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw wrapErrno(error, "open", path);
  }
  if (bytes.length > fileLimit) throw new Error(`env file ${path} is larger than ${fileLimit} bytes`);
  const text = bytes.toString("utf8");
  if (text.includes("\ufffd")) throw new Error(`env file ${path} contains invalid utf8 bytes`);
  return parseVariableFile(text, path);
}

/** `--label-file` and `--label`; `NAME` alone is an empty label. */
export function gatherLabels(
  files: readonly string[],
  given: readonly string[],
): Readonly<Record<string, string>> {
  const labels: [string, string][] = [];
  for (const entry of [...files.flatMap(readVariableFile), ...given]) {
    const equals = entry.indexOf("=");
    const name = equals < 0 ? entry : entry.slice(0, equals);
    if (name === "") throw new Error(`invalid label: ${entry}`);
    labels.push([name, equals < 0 ? "" : entry.slice(equals + 1)]);
  }
  return Object.fromEntries(labels);
}
