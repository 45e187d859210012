/** Options that commands on several pods share, and the pods that they mean. */

import { isGantryError } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import type { Pod } from "../engine/pods/pod.ts";
import type { CommandContext } from "./context.ts";
import { forEachName } from "./each.ts";
import { flag, UsageError, whole } from "./options.ts";

export const allPods = (verb: string) => flag(`${verb} all pods`, { short: "a" });
export const ignoreMissing = flag("Ignore errors when a specified pod is missing", { short: "i" });
export const stopTime = whole(
  "Seconds to wait before killing the containers (default: that of each container)",
  {
    short: "t",
    min: -1,
  },
);

interface Choice {
  readonly all: boolean;
  readonly ignore?: boolean;
}

/** Acts on every pod that the command line means; prints their ids, as podman does. */
export async function forEachPod(
  context: CommandContext,
  names: readonly string[],
  choice: Choice,
  act: (pod: Pod) => Promise<void>,
): Promise<number> {
  if (choice.all === names.length > 0)
    throw new UsageError(
      choice.all ? "--all takes no names of pods" : "you must provide at least one pod name or id",
    );
  const engine = await context.engine();
  const chosen = choice.all ? await idsOf(engine, context) : names;
  return await forEachName(context, chosen, async (name) => {
    let pod: Pod;
    try {
      pod = await engine.pod(name, { signal: context.signal });
    } catch (error) {
      if (choice.ignore && isGantryError(error, "not-found")) return undefined;
      throw error;
    }
    await act(pod);
    return pod.id;
  });
}

async function idsOf(engine: Engine, context: CommandContext): Promise<readonly string[]> {
  return (await engine.pods({ signal: context.signal })).map(({ record }) => record.id);
}
