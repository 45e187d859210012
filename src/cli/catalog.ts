/** The commands by name. Each is loaded only when it is asked for: start-up time is what users wait for. */

import type { Command } from "./command.ts";

export interface CatalogEntry {
  readonly summary: string;
  readonly group: "Containers" | "Pods" | "Images" | "Volumes" | "System" | "Understanding" | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: commands differ in their options; main.ts hands each its own
  readonly load: () => Promise<Command<any>>;
}

export const catalog: Readonly<Record<string, CatalogEntry>> = {
  run: {
    summary: "Create and run a new container from an image",
    group: "Containers",
    load: async () => (await import("./commands/run.ts")).run,
  },
  create: {
    summary: "Create a new container",
    group: "Containers",
    load: async () => (await import("./commands/create.ts")).create,
  },
  start: {
    summary: "Start one or more stopped containers",
    group: "Containers",
    load: async () => (await import("./commands/start.ts")).start,
  },
  attach: {
    summary: "Attach local standard input, output, and error streams to a running container",
    group: "Containers",
    load: async () => (await import("./commands/attach.ts")).attach,
  },
  exec: {
    summary: "Execute a command in a running container",
    group: "Containers",
    load: async () => (await import("./commands/exec.ts")).exec,
  },
  ps: {
    summary: "List containers",
    group: "Containers",
    load: async () => (await import("./commands/ps.ts")).ps,
  },
  logs: {
    summary: "Fetch the logs of a container",
    group: "Containers",
    load: async () => (await import("./commands/logs.ts")).logs,
  },
  top: {
    summary: "Display the running processes of a container",
    group: "Containers",
    load: async () => (await import("./commands/top.ts")).top,
  },
  stats: {
    summary: "Display a live stream of container(s) resource usage statistics",
    group: "Containers",
    load: async () => (await import("./commands/stats.ts")).stats,
  },
  port: {
    summary: "List port mappings or a specific mapping for the container",
    group: "Containers",
    load: async () => (await import("./commands/port.ts")).port,
  },
  stop: {
    summary: "Stop one or more running containers",
    group: "Containers",
    load: async () => (await import("./commands/stop.ts")).stop,
  },
  restart: {
    summary: "Restart one or more containers",
    group: "Containers",
    load: async () => (await import("./commands/restart.ts")).restart,
  },
  kill: {
    summary: "Kill one or more running containers",
    group: "Containers",
    load: async () => (await import("./commands/kill.ts")).kill,
  },
  wait: {
    summary: "Block until one or more containers stop, then print their exit codes",
    group: "Containers",
    load: async () => (await import("./commands/wait.ts")).wait,
  },
  pause: {
    summary: "Pause all processes within one or more containers",
    group: "Containers",
    load: async () => (await import("./commands/pause.ts")).pause,
  },
  unpause: {
    summary: "Unpause all processes within one or more containers",
    group: "Containers",
    load: async () => (await import("./commands/unpause.ts")).unpause,
  },
  rename: {
    summary: "Rename a container",
    group: "Containers",
    load: async () => (await import("./commands/rename.ts")).rename,
  },
  update: {
    summary: "Update configuration of one or more containers",
    group: "Containers",
    load: async () => (await import("./commands/update.ts")).update,
  },
  cp: {
    summary: "Copy files/folders between a container and the local filesystem",
    group: "Containers",
    load: async () => (await import("./commands/cp.ts")).cp,
  },
  diff: {
    summary: "Inspect changes to files or directories on a container's filesystem",
    group: "Containers",
    load: async () => (await import("./commands/diff.ts")).diff,
  },
  export: {
    summary: "Export a container's filesystem as a tar archive",
    group: "Containers",
    load: async () => (await import("./commands/export.ts")).exportCommand,
  },
  rm: {
    summary: "Remove one or more containers",
    group: "Containers",
    load: async () => (await import("./commands/rm.ts")).rm,
  },
  "pod create": {
    summary: "Create a new empty pod",
    group: "Pods",
    load: async () => (await import("./commands/pod-create.ts")).podCreate,
  },
  "pod ps": {
    summary: "List pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-ps.ts")).podPs,
  },
  "pod inspect": {
    summary: "Display the configuration and state of one or more pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-inspect.ts")).podInspect,
  },
  "pod start": {
    summary: "Start one or more pods and their containers",
    group: "Pods",
    load: async () => (await import("./commands/pod-verbs.ts")).podStart,
  },
  "pod stop": {
    summary: "Stop one or more pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-verbs.ts")).podStop,
  },
  "pod restart": {
    summary: "Restart one or more pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-verbs.ts")).podRestart,
  },
  "pod kill": {
    summary: "Send a signal to the containers of one or more pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-verbs.ts")).podKill,
  },
  "pod pause": {
    summary: "Pause the containers of one or more pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-verbs.ts")).podPause,
  },
  "pod unpause": {
    summary: "Unpause the containers of one or more pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-verbs.ts")).podUnpause,
  },
  "pod top": {
    summary: "Display the running processes of the containers of a pod",
    group: "Pods",
    load: async () => (await import("./commands/pod-top.ts")).podTop,
  },
  "pod stats": {
    summary: "Display a live stream of resource usage of the containers of one or more pods",
    group: "Pods",
    load: async () => (await import("./commands/pod-stats.ts")).podStats,
  },
  "pod logs": {
    summary: "Fetch the logs of the containers of a pod",
    group: "Pods",
    load: async () => (await import("./commands/pod-logs.ts")).podLogs,
  },
  "pod rm": {
    summary: "Remove one or more pods and their containers",
    group: "Pods",
    load: async () => (await import("./commands/pod-verbs.ts")).podRm,
  },
  "pod prune": {
    summary: "Remove all stopped pods and their containers",
    group: "Pods",
    load: async () => (await import("./commands/pod-prune.ts")).podPrune,
  },
  "pod exists": {
    summary: "Check if a pod exists: exit status 0 or 1",
    group: "Pods",
    load: async () => (await import("./commands/pod-exists.ts")).podExists,
  },
  pull: {
    summary: "Download an image from a registry",
    group: "Images",
    load: async () => (await import("./commands/pull.ts")).pull,
  },
  images: {
    summary: "List images",
    group: "Images",
    load: async () => (await import("./commands/images.ts")).images,
  },
  import: {
    summary: "Make an image of the tar of a root file system",
    group: "Images",
    load: async () => (await import("./commands/import.ts")).importCommand,
  },
  commit: {
    summary: "Create a new image from a container's changes",
    group: "Images",
    load: async () => (await import("./commands/commit.ts")).commit,
  },
  rmi: {
    summary: "Remove one or more images",
    group: "Images",
    load: async () => (await import("./commands/rmi.ts")).rmi,
  },
  "registry serve": {
    summary: "Serve a small registry to pull from and push to",
    group: "Images",
    load: async () => (await import("./commands/registry-serve.ts")).registryServe,
  },
  "volume create": {
    summary: "Create a volume",
    group: "Volumes",
    load: async () => (await import("./commands/volume-create.ts")).volumeCreate,
  },
  "volume ls": {
    summary: "List volumes",
    group: "Volumes",
    load: async () => (await import("./commands/volume-ls.ts")).volumeLs,
  },
  "volume inspect": {
    summary: "Display detailed information on one or more volumes",
    group: "Volumes",
    load: async () => (await import("./commands/volume-inspect.ts")).volumeInspect,
  },
  "volume rm": {
    summary: "Remove one or more volumes",
    group: "Volumes",
    load: async () => (await import("./commands/volume-rm.ts")).volumeRm,
  },
  "volume prune": {
    summary: "Remove unused local volumes",
    group: "Volumes",
    load: async () => (await import("./commands/volume-prune.ts")).volumePrune,
  },
  "container prune": {
    summary: "Remove all stopped containers",
    group: "System",
    load: async () => (await import("./commands/container-prune.ts")).containerPrune,
  },
  "image prune": {
    summary: "Remove unused images",
    group: "System",
    load: async () => (await import("./commands/image-prune.ts")).imagePrune,
  },
  "system df": {
    summary: "Show disk usage",
    group: "System",
    load: async () => (await import("./commands/system-df.ts")).systemDf,
  },
  "system prune": {
    summary: "Remove unused data",
    group: "System",
    load: async () => (await import("./commands/system-prune.ts")).systemPrune,
  },
  doctor: {
    summary: "Name what this machine lacks and what crashes have left, and mend it",
    group: "System",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  inspect: {
    summary: "Return low-level information on containers, images and volumes",
    group: "Understanding",
    load: async () => (await import("./commands/inspect.ts")).inspect,
  },
  "explain run": {
    summary: "Print what `run` would do, step by step, and do nothing",
    group: "Understanding",
    load: async () => (await import("./commands/explain.ts")).explainRun,
  },
  events: {
    summary: "Show what happens to containers and images",
    group: "Understanding",
    load: async () => (await import("./commands/events.ts")).events,
  },
  info: {
    summary: "Show what this machine can do and where things lie",
    group: "Understanding",
    load: async () => (await import("./commands/info.ts")).info,
  },
  version: {
    summary: "Show the version",
    group: "Understanding",
    load: async () => (await import("./commands/version.ts")).versionCommand,
  },
  serve: {
    summary: "Keep the engine open: restarts, health checks, and ends that nobody saw",
    group: "Containers",
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  "internal keep": {
    summary: "Keep the engine open as long as something needs a clock (started by shims)",
    group: undefined,
    load: async () => (await import("./commands/internal-keep.ts")).internalKeep,
  },
  "internal exited": {
    summary: "Decide what follows on the end of a container (started by its shim)",
    group: undefined,
    load: async () => (await import("./commands/internal-exited.ts")).internalExited,
  },
  "internal pack-log": {
    summary: "Compress the rotated log files of a container (started by its shim)",
    group: undefined,
    load: async () => (await import("./commands/internal-pack-log.ts")).internalPackLog,
  },
  "internal relay-log": {
    summary: "Pass log lines on over TLS (started by the shim of a container)",
    group: undefined,
    load: async () => (await import("./commands/internal-relay-log.ts")).internalRelayLog,
  },
};

/** Docker's longer names; what stands behind the name of the command are arguments of it. */
export const aliases: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      ...["run", "create", "start", "logs", "stop", "restart", "kill", "wait", "rm"],
      ...["pause", "unpause", "rename", "update", "top", "stats", "port", "cp", "diff", "export", "commit"],
    ].map((name) => [`container ${name}`, name]),
  ),
  ...{ "container ls": "ps", "container list": "ps", "container ps": "ps", "container remove": "rm" },
  ...{ "image ls": "images", "image list": "images", "image rm": "rmi", "image remove": "rmi" },
  ...{ "pod ls": "pod ps", "pod list": "pod ps" },
  ...{ "image pull": "pull", "image import": "import" },
  ...{ "container inspect": "inspect --type container", "image inspect": "inspect --type image" },
  ...{ "volume list": "volume ls", "volume remove": "volume rm" },
  ...{
    "system doctor": "doctor",
    "system check": "doctor",
    "system info": "info",
    "system events": "events",
  },
};

/** The command that the first words of `words` name, and the arguments that it gets. */
export function findCommand(words: readonly string[]): { name: string; args: readonly string[] } | undefined {
  for (const count of [2, 1]) {
    if (words.length < count) continue;
    const typed = words.slice(0, count).join(" ");
    const rest = words.slice(count);
    if (Object.hasOwn(catalog, typed)) return { name: typed, args: rest };
    if (Object.hasOwn(aliases, typed)) return findCommand([...aliases[typed]!.split(" "), ...rest]);
  }
  return undefined;
}

/** Names that need a second word, with those that there are. */
export function secondWords(first: string): readonly string[] {
  return [...Object.keys(catalog), ...Object.keys(aliases)]
    .filter((name) => name.startsWith(`${first} `))
    .map((name) => name.slice(first.length + 1));
}
