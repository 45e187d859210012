/** checkpoint: criu writes the container's processes to files, and ends them unless they are to go on. */
import { fstatSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { GantryError, wrapErrno } from "../base/error.ts";
import { parseMountinfo } from "../linux/mountinfo.ts";
import { compileCheckpoint, dumpLog } from "../plan/compile/checkpoint.ts";
import { compileFreeze } from "../plan/compile/freeze.ts";
import { freezerOf } from "../plan/compile/living-cgroups.ts";
import { cgroupDirectory } from "./cgroup-files.ts";
import type { OciContext, Verb } from "./context.ts";
import { criuFlagTable, criuSetting, explainCriu, isDirectory, readCriuFlags } from "./criu.ts";
import { executePlanHere } from "./execute-plan.ts";
import { type Flags, numberFlag, usageError } from "./flags.ts";
import { type OciContainer, readContainer } from "./state-directory.ts";
import { readStoredConfig } from "./stored-config.ts";
import { awaitEnd, destroy } from "./verbs-living.ts";

/** In the images, as runc writes it. */
export const descriptorsFile = "descriptors.json";

function parentOf(flags: Flags, images: string): string | undefined {
  const parent = flags.text("parent-path");
  if (!parent) return undefined;
  if (isAbsolute(parent)) throw usageError("--parent-path must be relative");
  if (!isDirectory(join(images, parent)))
    throw usageError(`invalid --parent-path: ${join(images, parent)}: not a directory`);
  return parent;
}

function statusFd(flags: Flags): number | undefined {
  const text = flags.text("status-fd");
  if (text === undefined || text === "-1") return undefined;
  const fd = numberFlag(flags, "status-fd");
  if (!flags.has("lazy-pages"))
    throw usageError("--status-fd: criu tells it only of --lazy-pages, which is not given");
  try {
    fstatSync(fd);
  } catch (error) {
    throw wrapErrno(error, "invalid --status-fd argument", String(fd));
  }
  return fd;
}

function checkStatus({ status }: OciContainer): void {
  if (status !== "running" && status !== "paused")
    throw new GantryError("failed-precondition", `Container cannot be checkpointed in ${status} state`);
}

/** proc_pid_net(5): below two lines of headings one line a device, which begins with its name. */
function networkDevices(pid: number): readonly string[] {
  const lines = readFileSync(`/proc/${pid}/net/dev`, "utf8").trimEnd().split("\n").slice(2);
  return lines.map((line) => line.slice(0, line.lastIndexOf(":")).trim());
}

async function dump(context: OciContext, flags: Flags, container: OciContainer): Promise<void> {
  const { pid, rootfs, annotations, cgroups, descriptors = ["", "", ""] } = container;
  const criuFlags = readCriuFlags(flags, annotations);
  const fd = statusFd(flags);
  const preDump = flags.has("pre-dump");
  const criu = criuSetting(context, flags, true);
  const parent = parentOf(flags, criu.images);
  const freezer = freezerOf(cgroups);
  const plan = compileCheckpoint({
    criu,
    flags: criuFlags,
    config: readStoredConfig(container.directory),
    rootfs,
    pid,
    preDump,
    leaveRunning: flags.has("leave-running"),
    parent,
    freezeCgroup: freezer && cgroupDirectory(freezer.cgroup),
    mounts: parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8")),
    namespaceInode: (kind) => statSync(`/proc/${pid}/ns/${kind}`).ino,
    networkDevices: networkDevices(pid),
    tellReady: fd !== undefined,
  });
  if (!preDump)
    writeFileSync(join(criu.images, descriptorsFile), JSON.stringify(descriptors), { mode: 0o600 });
  try {
    await executePlanHere(plan, fd === undefined ? {} : { onSync: () => void writeSync(fd, "\0") });
  } catch (error) {
    // a criu that was killed leaves what it held still
    if (container.status === "running" && freezer) await executePlanHere(compileFreeze(cgroups, false));
    throw explainCriu(error, join(criu.work, dumpLog));
  }
}

export const checkpoint: Verb = {
  usage: "checkpoint [flags] <container-id>",
  help: "checkpoint a running container",
  flags: {
    ...criuFlagTable,
    "parent-path": { kind: "text", help: "images of an earlier --pre-dump, relative to --image-path" },
    "leave-running": { kind: "switch", help: "let the container go on after the checkpoint" },
    "pre-dump": { kind: "switch", help: "write the memory only, and let the container go on" },
    "page-server": { kind: "text", help: "ADDRESS:PORT of the page server" },
    "status-fd": { kind: "text", help: "descriptor that gets \\0 when --lazy-pages can be asked for pages" },
  },
  arguments: [1, 1],
  async run(context, flags) {
    const container = readContainer(context.root, flags.rest[0]!);
    checkStatus(container);
    await dump(context, flags, container);
    if (flags.has("leave-running") || flags.has("pre-dump")) return 0;
    await awaitEnd(container);
    await destroy(context, container);
    return 0;
  },
};
