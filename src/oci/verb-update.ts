/** update: new limits for a living container, all of them or none. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GantryError, wrapErrno } from "../base/error.ts";
import { lockFile } from "../base/lock.ts";
import { readHostFacts } from "../host/facts.ts";
import { placeResources } from "../linux/place-resources.ts";
import { updateResources } from "../linux/update-resources.ts";
import { atResources } from "../plan/compile/cgroup-limits.ts";
import { type IntelRdt, schemataOf } from "../plan/compile/intel-rdt.ts";
import { compileUpdate } from "../plan/compile/update.ts";
import type { Plan } from "../plan/plan.ts";
import type { RuntimeResources } from "../spec/runtime-resources.ts";
import { readCgroupFile } from "./cgroup-files.ts";
import { updateRecordedUnit } from "./cgroup-manager.ts";
import type { OciContext, Verb } from "./context.ts";
import { readCurrentLimits, readPlaces } from "./current-limits.ts";
import { executePlanHere } from "./execute-plan.ts";
import type { Flags } from "./flags.ts";
import { checkUsage, explainRefusal } from "./limit-refusal.ts";
import { type OciContainer, phrases, readContainer } from "./state-directory.ts";
import { parseResources, readStoredConfig, storeResources } from "./stored-config.ts";
import { intelRdtOfFlags, resourcesOfFlags, updateFlags } from "./update-flags.ts";

function readPatch(context: OciContext, flags: Flags): Patch {
  const file = flags.text("resources");
  if (!file)
    return {
      resources: resourcesOfFlags(flags, (message) => context.log.warn(message)),
      intelRdt: intelRdtOfFlags(flags, readHostFacts().resctrl),
    };
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw wrapErrno(error, "open", file);
  }
  return { resources: parseResources(text, file === "-" ? "resources" : file) };
}

/** The plan, and the container's resources once it is done. */
interface Update {
  readonly plan: Plan;
  readonly old: RuntimeResources;
  readonly merged: RuntimeResources;
}

/** Where the lines for cache and memory bandwidth go. */
function schemataFor({ resctrl }: OciContainer, intelRdt: IntelRdt | undefined) {
  if (!intelRdt) return undefined;
  const { mount, group } = resctrl ?? {};
  if (mount === undefined || group === undefined)
    throw new GantryError(
      "failed-precondition",
      "the container was made without linux.intelRdt, so it has no group of its own whose schemata could be updated",
      { detail: { pointer: "/linux/intelRdt" } },
    );
  const value = schemataOf(intelRdt)
    .map((line) => `${line}\n`)
    .join("");
  const file = join(`${mount}${group}`, "schemata");
  try {
    return { mount, group, value, before: readFileSync(file, "utf8") };
  } catch (error) {
    throw wrapErrno(error, "read schemata", file);
  }
}

/** What is to change: limits of cgroups, and what resctrl has. */
interface Patch {
  readonly resources: RuntimeResources;
  readonly intelRdt?: IntelRdt | undefined;
}

function compile(container: OciContainer, { resources: patch, intelRdt }: Patch): Update {
  const { cgroups, directory, status } = container;
  const old = readStoredConfig(directory).linux?.resources ?? {};
  const { merged, effective } = updateResources(old, patch);
  const { checks, writes } = atResources(() =>
    placeResources(readPlaces(cgroups), effective, readCurrentLimits(cgroups)),
  );
  checkUsage(cgroups, checks);
  const plan = compileUpdate({
    cgroups,
    writes,
    before: readCgroupFile,
    frozen: status === "paused",
    schemata: schemataFor(container, intelRdt),
    ...(patch.devices ? { devices: { old: old.devices, new: patch.devices } } : {}),
  });
  // what was decoded stays decoded: members and their kinds are those of the two that were merged
  return { plan, old, merged: merged as RuntimeResources };
}

async function apply(context: OciContext, container: OciContainer, patch: Patch): Promise<void> {
  const { directory } = container;
  const { plan, old, merged } = compile(container, patch);
  const devices = patch.resources.devices !== undefined;
  // before the files: what systemd writes may be less exact than what the files get then
  await updateRecordedUnit(context, directory, { from: old, to: merged, devices });
  const takeBack = () => updateRecordedUnit(context, directory, { from: merged, to: old, devices });
  try {
    if (plan.host.length > 0) await executePlanHere(plan);
  } catch (error) {
    await takeBack();
    throw explainRefusal(error, container.cgroups, patch.resources);
  }
  try {
    storeResources(directory, merged);
  } catch (error) {
    await takeBack();
    await executePlanHere({ host: [], child: [], cleanup: plan.cleanup });
    throw error;
  }
}

export const update: Verb = {
  usage: "update [flags] <container-id>",
  help: "update container resource constraints",
  flags: updateFlags,
  arguments: [1, 1],
  async run(context, flags) {
    const id = flags.rest[0]!;
    const { directory } = readContainer(context.root, id);
    const patch = readPatch(context, flags);
    // two at once would not know of each other's values
    using _lock = await lockFile(join(directory, "update.lock"));
    const container = readContainer(context.root, id);
    if (container.status === "stopped") throw new GantryError("failed-precondition", phrases.notRunning);
    await apply(context, container, patch);
    return 0;
  },
};
