/** `gantry pod prune`. */
import { defineCommand } from "../command.ts";
import { confirm } from "../confirm.ts";
import { forEachName } from "../each.ts";
import { flag } from "../options.ts";

export const podPrune = defineCommand({
  name: "pod prune",
  usage: "[OPTIONS]",
  summary: "Remove all stopped pods and their containers",
  options: { force: flag("Do not prompt for confirmation", { short: "f" }) },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry pod prune -f", "Without being asked"]],
  async run(context, { values }) {
    if (!values.force && !(await confirm(context, "WARNING! This will remove all stopped/exited pods..")))
      return 0;
    const engine = await context.engine();
    const { signal } = context;
    const stopped = (await engine.pods({ signal })).filter(({ status }) => status === "exited");
    const ids = stopped.map(({ record }) => record.id);
    return await forEachName(context, ids, async (id) => {
      await (await engine.pod(id, { signal })).remove({ signal });
      return id;
    });
  },
});
