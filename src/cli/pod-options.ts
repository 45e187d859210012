/** What commands on several pods share: their options, the pods that they mean, and the form of the command. */
import { isGantryError } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import type { Pod } from "../engine/pods/pod.ts";
import { type Command, defineCommand } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { forEachName } from "./each.ts";
import { flag, type Option, type OptionTable, UsageError, type ValuesOf, whole } from "./options.ts";

export const allPods = (verb: string) => flag(`${verb} all pods`, { short: "a" });
export const ignoreMissing = flag("Ignore errors when a specified pod is missing", { short: "i" });
export const stopTime = whole(
  "Seconds to wait before killing the containers (default: that of each container)",
  {
    short: "t",
    min: -1,
  },
);

export function stopTimeout(time: number | undefined): { readonly timeoutSeconds?: number } {
  return time === undefined ? {} : { timeoutSeconds: time };
}

interface PodVerb<O extends OptionTable>
  extends Pick<Command<O>, "name" | "summary" | "about" | "options" | "examples"> {
  readonly act: (pod: Pod, values: ValuesOf<O>, options: { readonly signal: AbortSignal }) => Promise<void>;
}

/** A command that acts on every pod that its line means, and prints their ids, as podman does. */
export function podCommand<const O extends OptionTable & { readonly all: Option<boolean> }>({
  act,
  ...rest
}: PodVerb<O>): Command<O> {
  return defineCommand<O>({
    ...rest,
    usage: "[OPTIONS] POD [POD...]",
    minArguments: 0,
    async run(context, { values, positionals }) {
      const choice = values as { readonly all: boolean; readonly ignore?: boolean };
      const engine = await context.engine();
      const cancellable = { signal: context.signal };
      return await forEachName(
        context,
        await chosenPods(engine, context, positionals, choice.all),
        async (name) => {
          let pod: Pod;
          try {
            pod = await engine.pod(name, cancellable);
          } catch (error) {
            if (choice.ignore && isGantryError(error, "not-found")) return undefined;
            throw error;
          }
          await act(pod, values, cancellable);
          return pod.id;
        },
      );
    },
  });
}

async function chosenPods(
  engine: Engine,
  context: CommandContext,
  names: readonly string[],
  all: boolean,
): Promise<readonly string[]> {
  if (all === names.length > 0)
    throw new UsageError(
      all ? "--all takes no names of pods" : "you must provide at least one pod name or id",
    );
  return all ? (await engine.pods({ signal: context.signal })).map(({ record }) => record.id) : names;
}
