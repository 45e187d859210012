/** pause and resume. */
import { GantryError } from "../base/error.ts";
import { compileFreeze } from "../plan/compile/freeze.ts";
import type { OciContext, Verb } from "./context.ts";
import { executePlanHere } from "./execute-plan.ts";
import { type OciContainer, phrases, readContainer } from "./state-directory.ts";

async function freeze(container: OciContainer, frozen: boolean): Promise<number> {
  return await executePlanHere(compileFreeze(container.cgroups, frozen));
}

export const pause: Verb = {
  usage: "pause <container-id>",
  help: "suspend all processes inside the container",
  flags: {},
  arguments: [1, 1],
  run(context: OciContext, flags) {
    const container = readContainer(context.root, flags.rest[0]!);
    if (container.status !== "running" && container.status !== "created")
      throw new GantryError("failed-precondition", phrases.notRunning);
    return freeze(container, true);
  },
};

export const resume: Verb = {
  usage: "resume <container-id>",
  help: "resume all processes that have been previously paused",
  flags: {},
  arguments: [1, 1],
  run(context: OciContext, flags) {
    const container = readContainer(context.root, flags.rest[0]!);
    if (container.status !== "paused") throw new GantryError("failed-precondition", phrases.notPaused);
    return freeze(container, false);
  },
};
