/** state, list, kill and delete. */
import { rmdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError, isGantryError, wrapErrno } from "../base/error.ts";
import { removeTree } from "../base/remove-tree.ts";
import { parseSignal } from "../linux/signals.ts";
import { stopRecordedUnit } from "./cgroup-manager.ts";
import type { OciContext, Verb } from "./context.ts";
import { usageError } from "./flags.ts";
import { runStateHooks } from "./hooks.ts";
import { signalAll, signalContainer } from "./signal-container.ts";
import {
  checkId,
  isAlive,
  listContainers,
  type OciContainer,
  phrases,
  readContainer,
  type StateCgroup,
  stateDocument,
} from "./state-directory.ts";

export const state: Verb = {
  usage: "state <container-id>",
  help: "output the state of a container",
  flags: {},
  arguments: [1, 1],
  run(context, flags) {
    context.print(`${JSON.stringify(stateDocument(readContainer(context.root, flags.rest[0]!)), null, 2)}\n`);
    return 0;
  },
};

function table(containers: readonly OciContainer[]): string {
  const rows = [
    ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    ...containers.map((container) => {
      const { id, pid, status, bundle, created, owner } = stateDocument(container);
      return [id, pid, status, bundle, created, owner].map(String);
    }),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  // at least 12 wide and three spaces apart, as Go's tabwriter does it for runc
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell.padEnd(Math.max(12, widths[column]! + 3)),
      )
      .join("");
  return rows.map((row) => `${line(row)}\n`).join("");
}

export const list: Verb = {
  usage: "list [flags]",
  help: "lists containers started by gantry-oci with the given root",
  flags: {
    format: { kind: "text", short: "f", help: "table or json" },
    quiet: { kind: "switch", short: "q", help: "display only container IDs" },
  },
  arguments: [0, 0],
  run(context, flags) {
    const containers = listContainers(context.root);
    const format = flags.text("format") ?? "table";
    if (flags.has("quiet")) context.print(containers.map(({ id }) => `${id}\n`).join(""));
    else if (format === "json") context.print(`${JSON.stringify(containers.map(stateDocument))}\n`);
    else if (format === "table") context.print(table(containers));
    else throw usageError("invalid format option");
    return 0;
  },
};

export const kill: Verb = {
  usage: "kill [flags] <container-id> [signal]",
  help: "kill sends the specified signal (default: SIGTERM) to the container's init process",
  flags: { all: { kind: "switch", short: "a", help: "send the signal to all processes of the container" } },
  arguments: [1, 2],
  run(context, flags) {
    const [id, name = "SIGTERM"] = flags.rest as readonly [string, string?];
    const signal = parseSignal(name);
    if (signal === undefined) throw usageError(`unknown signal "${name}"`);
    const container = readContainer(context.root, id);
    if (flags.has("all")) {
      signalAll(container, signal);
      return 0;
    }
    if (container.status === "stopped") throw new GantryError("failed-precondition", phrases.notRunning);
    signalContainer(container, signal);
    return 0;
  },
};

const endDeadlineMs = 10_000;

export async function awaitEnd(container: OciContainer): Promise<void> {
  const deadline = Date.now() + endDeadlineMs;
  for (let waitMs = 1; isAlive(container); waitMs = Math.min(waitMs * 2, 100)) {
    if (Date.now() > deadline)
      throw new GantryError("deadline-exceeded", "container init still running", {
        detail: { pid: container.pid },
      });
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** An empty cgroup goes with one call; what still holds something is the executor's work. */
async function removeCgroups(cgroups: readonly StateCgroup[]): Promise<void> {
  const stubborn = cgroups.filter(({ mount, path }) => {
    try {
      rmdirSync(`${mount}${path}`);
      return false;
    } catch (error) {
      return errnoOf(error) !== "ENOENT";
    }
  });
  if (stubborn.length === 0) return;
  // loaded only here: state, kill, list and most deletes need no process
  const [{ findExecutor }, { runPlan }] = await Promise.all([
    import("../launch/executor.ts"),
    import("../launch/launch.ts"),
  ]);
  const cleanup = stubborn.map(({ mount, path }) => ({
    op: "remove-cgroup" as const,
    where: "/linux/cgroupsPath",
    mount,
    path,
  }));
  await runPlan({ host: [], child: [], cleanup }, { executor: findExecutor() });
}

/** The kernel removes a group whoever is in it. */
function removeResctrlGroups({ resctrl }: OciContainer): void {
  for (const path of resctrl?.own ?? []) {
    try {
      rmdirSync(`${resctrl!.mount}${path}`);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "remove resctrl group", path);
    }
  }
}

export async function destroy(context: OciContext, container: OciContainer): Promise<void> {
  if (!container.ownPids) signalAll(container, 9);
  await stopRecordedUnit(context, container.directory);
  await removeCgroups(container.cgroups);
  removeResctrlGroups(container);
  removeTree(container.directory);
  const { id, bundle, annotations } = container;
  await runStateHooks(
    context,
    container.hooks.poststop ?? [],
    { id, status: "stopped", pid: 0, bundle, annotations },
    "log",
  );
}

/** A `create` that was killed half-way leaves a directory without a state. */
async function removeUnborn(context: OciContext, id: string): Promise<void> {
  const directory = join(context.root, checkId(id));
  await stopRecordedUnit(context, directory);
  removeTree(directory);
}

export const remove: Verb = {
  usage: "delete [flags] <container-id>",
  help: "delete any resources held by the container",
  flags: { force: { kind: "switch", short: "f", help: "kill the container if it is still running" } },
  arguments: [1, 1],
  async run(context, flags) {
    const id = flags.rest[0]!;
    const force = flags.has("force");
    let container: OciContainer;
    try {
      container = readContainer(context.root, id);
    } catch (error) {
      if (!force || !isGantryError(error, "not-found")) throw error;
      await removeUnborn(context, id);
      return 0;
    }
    // runc lets a container go that was never started
    if (container.status !== "stopped") {
      if (!force && container.status !== "created")
        throw new GantryError(
          "failed-precondition",
          `cannot delete container ${id} that is not stopped: ${container.status}`,
        );
      signalContainer(container, 9);
      await awaitEnd(container);
    }
    await destroy(context, container);
    return 0;
  },
};
