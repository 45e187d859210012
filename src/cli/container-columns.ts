/** The columns of `ps`, as docker computes and heads them. Pure. */
import type { ContainerOptions } from "../bundle/container-options.ts";
import type { ContainerSummary } from "../engine/containers/list.ts";
import type { Column } from "./format/table.ts";
import { ago, createdAt, humanDuration } from "./format/units.ts";

/** Where the mounts of a container come from: host paths, and names of volumes. */
export function mountSources({ mounts = [] }: ContainerOptions): readonly string[] {
  return mounts.flatMap((mount) =>
    mount.kind === "bind" || mount.kind === "volume" ? [mount.source ?? ""] : [],
  );
}

function healthText(health: ContainerSummary["health"]): string {
  return health === undefined ? "" : health === "starting" ? " (health: starting)" : ` (${health})`;
}

/** `Up 5 minutes`, `Exited (0) 3 seconds ago`, `Created`. */
export function statusText(container: ContainerSummary, now: Date): string {
  const since = (time: string | undefined) =>
    humanDuration(Math.max(0, now.getTime() - Date.parse(time ?? "")));
  switch (container.status) {
    case "created":
      return "Created";
    case "running":
      return `Up ${since(container.startedAt)}${healthText(container.health)}`;
    case "paused":
      return `Up ${since(container.startedAt)} (Paused)`;
    case "restarting":
      return `Restarting (${container.exitCode ?? 0}) ${since(container.finishedAt)} ago`;
    case "exited":
      return `Exited (${container.exitCode ?? 0}) ${since(container.finishedAt)} ago`;
    default:
      return container.status satisfies never;
  }
}

/** At most `size` characters, the last of them an ellipsis where something was cut. */
export function ellipsis(text: string, size: number): string {
  const characters = [...text];
  return characters.length <= size ? text : `${characters.slice(0, size - 1).join("")}…`;
}

/** The program and its arguments, those with a space in quotes: docker shows so what it does not split again. */
function commandLine([program = "", ...args]: readonly string[]): string {
  return [program, ...args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg))].join(" ");
}

export function containerColumns({
  truncate,
  now,
}: {
  truncate: boolean;
  now: Date;
}): readonly Column<ContainerSummary>[] {
  return [
    { name: "ID", heading: "CONTAINER ID", value: ({ id }) => (truncate ? id.slice(0, 12) : id) },
    { name: "Image", heading: "IMAGE", value: ({ image }) => image },
    {
      name: "Command",
      heading: "COMMAND",
      value: ({ args }) => JSON.stringify(truncate ? ellipsis(commandLine(args), 20) : commandLine(args)),
    },
    { name: "CreatedAt", heading: "CREATED AT", value: (one) => createdAt(one.createdAt) },
    { name: "RunningFor", heading: "CREATED", value: (one) => ago(one.createdAt, now) },
    { name: "Ports", heading: "PORTS", value: () => "" },
    { name: "State", heading: "STATE", value: ({ status }) => status },
    { name: "Status", heading: "STATUS", value: (one) => statusText(one, now) },
    { name: "Names", heading: "NAMES", value: ({ name }) => name },
    {
      name: "Labels",
      heading: "LABELS",
      value: ({ labels }) =>
        Object.entries(labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
    },
    {
      name: "Mounts",
      heading: "MOUNTS",
      value: ({ record }) =>
        mountSources(record.options)
          .map((source) => (truncate ? ellipsis(source, 15) : source))
          .join(","),
    },
    {
      name: "LocalVolumes",
      heading: "LOCAL VOLUMES",
      value: ({ record }) =>
        String((record.options.mounts ?? []).filter(({ kind }) => kind === "volume").length),
    },
    { name: "Networks", heading: "NETWORKS", value: ({ record }) => record.options.network ?? "none" },
    { name: "ImageID", heading: "IMAGE ID", value: ({ imageId }) => imageId },
    { name: "Pid", heading: "PID", value: ({ pid }) => pid ?? 0 },
    { name: "ExitCode", heading: "EXIT CODE", value: ({ exitCode }) => exitCode ?? 0 },
  ];
}

/** `.Label "key"`. */
export const labelMethod = {
  Label: {
    heading: "LABEL",
    call: (container: ContainerSummary, key: unknown) => container.labels[String(key)] ?? "",
  },
};
