/** ps: the processes of a container, as numbers or in the words of ps(1). */
import { spawnSync } from "node:child_process";
import { GantryError } from "../base/error.ts";
import { processesOf } from "./cgroup-files.ts";
import type { Verb } from "./context.ts";
import { usageError } from "./flags.ts";
import { readContainer } from "./state-directory.ts";

/** The head and the lines of these processes; any format of ps that has a column PID. */
export function selectLines(output: string, pids: ReadonlySet<number>): string {
  const [head = "", ...lines] = output.split("\n");
  const column = head.trim().split(/\s+/).indexOf("PID");
  if (column < 0) throw new GantryError("invalid-argument", "couldn't find PID field in ps output");
  const wanted = lines.filter((line) => pids.has(Number(line.trim().split(/\s+/)[column])));
  return [head, ...wanted].map((line) => `${line}\n`).join("");
}

/** What ps prints. Throws what it says if it fails. */
export function runPs(args: readonly string[], env: Readonly<Record<string, string | undefined>>): string {
  const { status, signal, stdout, stderr, error } = spawnSync("ps", args, {
    encoding: "utf8",
    env: { ...env, PATH: env.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    maxBuffer: 256 * 1024 * 1024,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (error) throw new GantryError("failed-precondition", `run ps: ${error.message}`, { cause: error });
  if (status !== 0)
    throw new GantryError("failed-precondition", `${signal ?? `exit status ${status}`}: ${stdout}${stderr}`);
  return stdout;
}

export const ps: Verb = {
  usage: "ps [flags] <container-id> [ps options]",
  help: "display the processes running inside a container",
  flags: { format: { kind: "text", short: "f", help: "table or json" } },
  arguments: [1, 1000],
  run(context, flags) {
    const [id = "", ...options] = flags.rest;
    const { cgroups } = readContainer(context.root, id);
    const format = flags.text("format") ?? "table";
    if (format !== "table" && format !== "json") throw usageError("invalid format option");
    const pids = processesOf(cgroups);
    if (format === "json") context.print(`${JSON.stringify(pids)}\n`);
    else
      context.print(selectLines(runPs(options.length > 0 ? options : ["-ef"], context.env), new Set(pids)));
    return 0;
  },
};
