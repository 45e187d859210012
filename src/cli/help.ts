/** Help pages: of the program and of each command. Pure. */
import { catalog } from "./catalog.ts";
import type { Command } from "./command.ts";
import { parseMemory } from "./format/units.ts";
import { describeOptions, flag, type OptionTable, parsed, text } from "./options.ts";

export const globalOptions = {
  root: text(
    "Where images and containers are kept (default $GANTRY_ROOT or /var/lib/gantry; below XDG_DATA_HOME for others than root)",
    {
      value: "DIR",
    },
  ),
  state: text(
    "Where the state of running containers is kept (default $GANTRY_STATE or /run/gantry; below XDG_RUNTIME_DIR for others than root)",
    {
      value: "DIR",
    },
  ),
  "disk-limit": parsed(
    "The most that images, containers, logs and caches may take of the disk together (0 for no limit)",
    "bytes",
    parseMemory,
  ),
  "log-level": text("Level of what is told on standard error: error, warn, info or debug", {
    short: "l",
    value: "LEVEL",
  }),
  debug: flag("The same as --log-level debug, and errors with their causes", { short: "D" }),
  version: flag("Print the version and quit", { short: "v" }),
} satisfies OptionTable;

export function usageOf(command: Command): string {
  return `Usage:  gantry ${command.name}${command.usage === "" ? "" : ` ${command.usage}`}`;
}

export function commandHelp(command: Command): string {
  const parts = [usageOf(command), command.summary];
  if (command.about) parts.push(command.about);
  const options = describeOptions(command.options);
  if (options) parts.push(`Options:\n${options}`);
  if (command.examples.length > 0) {
    const lines = command.examples.map(([line, meaning]) => `  # ${meaning}\n  ${line}`);
    parts.push(`Examples:\n${lines.join("\n\n")}`);
  }
  return `${parts.join("\n\n")}\n`;
}

export function programHelp(): string {
  const width = Math.max(...Object.keys(catalog).map((name) => name.length)) + 3;
  const groups = (["Containers", "Pods", "Images", "Volumes", "System", "Understanding"] as const).map(
    (group) => {
      const lines = Object.entries(catalog)
        .filter(([, entry]) => entry.group === group)
        .map(([name, entry]) => `  ${name.padEnd(width)}${entry.summary}`);
      return `${group}:\n${lines.join("\n")}`;
    },
  );
  return [
    "Usage:  gantry [OPTIONS] COMMAND [ARG...]",
    "Runs OCI containers: no daemon, nothing left behind.",
    ...groups,
    `Global options, before the command:\n${describeOptions(globalOptions)}`,
    [
      "Try:",
      "  gantry pull docker.io/library/busybox",
      "  gantry run --rm -m 100m --cpus 2 busybox sh -c 'hostname; ls /'",
      "  gantry explain run busybox        # every privileged step, before it is taken",
    ].join("\n"),
    "Run 'gantry COMMAND --help' for more information on a command.\n",
  ].join("\n\n");
}
