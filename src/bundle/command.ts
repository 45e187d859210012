/** Which program runs, with which environment: image and options merged as Docker merges them. */
import { posix } from "node:path";
import { GantryError } from "../base/error.ts";
import type { ImageExecution } from "../spec/image-config.ts";
import type { ContainerOptions } from "./container-options.ts";

/** What Docker gives to a container whose image names no PATH. */
export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** And to a program with a terminal. */
export const defaultTerm = "TERM=xterm";

export function mergeArgs(image: ImageExecution, options: ContainerOptions): readonly string[] {
  const { entrypoint, command } = options;
  // [""] is how `--entrypoint ""` says "none"
  const own = entrypoint && entrypoint.length > 0 && entrypoint[0] !== "" ? entrypoint : [];
  const head = entrypoint ? own : (image.Entrypoint ?? []);
  const tail = command && command.length > 0 ? command : entrypoint ? [] : (image.Cmd ?? []);
  const args = [...head, ...tail];
  if (args.length === 0) throw new GantryError("invalid-argument", "no command specified");
  return args;
}

function nameOf(entry: string): string {
  const equals = entry.indexOf("=");
  return equals < 0 ? entry : entry.slice(0, equals);
}

/** Later entries win and stay where the first one stood; an entry without "=" takes the variable away. */
export function mergeEnvironment(...lists: readonly (readonly string[])[]): readonly string[] {
  const variables = new Map<string, string>();
  for (const entry of lists.flat()) {
    const name = nameOf(entry);
    if (name === "")
      throw new GantryError(
        "invalid-argument",
        `invalid environment variable: ${JSON.stringify(entry.slice(0, 100))}`,
      );
    if (entry.includes("=")) variables.set(name, entry);
    else variables.delete(name);
  }
  return [...variables.values()];
}

export function workingDirectory(image: ImageExecution, options: ContainerOptions): string {
  const asked = options.workingDirectory || image.WorkingDir || "/";
  if (options.workingDirectory && !asked.startsWith("/"))
    throw new GantryError(
      "invalid-argument",
      `the working directory '${asked}' is invalid, it needs to be an absolute path`,
    );
  return posix.normalize(`/${asked}`);
}
