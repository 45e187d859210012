/**
 * What a test needs of the machine, and the reason when it is not there.
 *
 *     import { needs } from "../lib/needs.ts";
 *     test("pull works with a password", { skip: needs("root", "docker-registry") }, async () => { … });
 *
 * The reason is printed and handed to `npm test`, which lists it: Bun's own reports drop it.
 */
import { accessSync, appendFileSync, constants, existsSync } from "node:fs";
import { release } from "node:os";
import { delimiter, join } from "node:path";

const found = new Map<string, boolean>();

/**
 * `false` when everything is there, else the reason. Each need is "root", a program of PATH, a file given by its
 * absolute path, or a kernel: "linux 6.9" or later.
 */
export function needs(...wanted: readonly string[]): string | false {
  const missing = wanted.filter((need) => {
    if (!found.has(need)) found.set(need, isThere(need));
    return !found.get(need);
  });
  if (missing.length === 0) return false;
  return skipped(`needs ${missing.join(", ")}`);
}

/** Writes down that one test is skipped, and why; hands the reason back for the `skip` option. */
export function skipped(reason: string): string {
  const log = process.env.GANTRY_SKIP_LOG;
  if (log) appendFileSync(log, `${reason}\n`);
  else console.error(`skipped: ${reason}`);
  return reason;
}

function isThere(need: string): boolean {
  if (need === "root") return process.getuid?.() === 0;
  if (need.startsWith("/")) return existsSync(need);
  const kernel = /^linux (\d+)\.(\d+)$/.exec(need);
  if (kernel) {
    const [major = 0, minor = 0] = release()
      .split(".")
      .map((part) => Number.parseInt(part, 10));
    return major * 1000 + minor >= Number(kernel[1]) * 1000 + Number(kernel[2]);
  }
  return programPath(need) !== undefined;
}

/** The path of a program, looked up in PATH and the places where Debian keeps root's programs. */
export function programPath(name: string): string | undefined {
  const dirs = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", "/usr/local/sbin"];
  return dirs.map((dir) => join(dir, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
