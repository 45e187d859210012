/** spec, features and explain: verbs that change nothing. */
import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { GantryError, wrapErrno } from "../base/error.ts";
import type { Plan } from "../plan/plan.ts";
import { printPlan } from "../plan/print.ts";
import type { OciContext, Verb } from "./context.ts";
import { defaultSpec } from "./default-spec.ts";
import { compileExecOf, execFlags } from "./exec-container.ts";
import { featuresDocument } from "./features.ts";
import { type Flags, usageError } from "./flags.ts";
import { compileLaunch, launchFlags, readBundle } from "./launch-container.ts";
import { checkId } from "./state-directory.ts";
import { ociName } from "./tell-failure.ts";
import { unitFor } from "./verbs-launch.ts";

export const spec: Verb = {
  usage: "spec [flags]",
  help: "create a new specification file",
  flags: {
    bundle: { kind: "text", short: "b", help: "path to the root of the bundle directory" },
    rootless: { kind: "switch", help: "generate a configuration for a rootless container" },
  },
  arguments: [0, 0],
  run(_context, flags) {
    const path = join(resolve(flags.text("bundle") ?? "."), "config.json");
    if (existsSync(path)) throw new GantryError("already-exists", "File config.json exists. Remove it first");
    const ids = flags.has("rootless") ? { uid: process.geteuid!(), gid: process.getegid!() } : undefined;
    try {
      writeFileSync(path, `${JSON.stringify(defaultSpec(ids), null, "\t")}\n`, { flag: "wx" });
    } catch (error) {
      throw wrapErrno(error, "write", path);
    }
    return 0;
  },
};

export const features: Verb = {
  usage: "features",
  help: "show the enabled features",
  flags: {},
  arguments: [0, 0],
  run(context) {
    context.print(`${JSON.stringify(featuresDocument(), null, "\t")}\n`);
    return 0;
  },
};

export const explain: Verb = {
  usage: "explain [flags] [bundle | container-id]\n   or: explain --exec [flags] <container-id> [command]",
  help: "print the plan that `create`, `run` or `exec` would execute, one privileged act a line; nothing is run",
  flags: {
    ...launchFlags,
    ...execFlags,
    create: { kind: "switch", help: "the plan of `create` instead of that of `run`" },
    exec: { kind: "switch", help: "the plan of `exec` in a container that runs" },
    phrases: { kind: "switch", help: "also what each step would say if it failed" },
  },
  arguments: [0, Number.POSITIVE_INFINITY],
  async run(context, flags) {
    const plan = flags.has("exec")
      ? (await compileExecOf(context, flags, true)).plan
      : await launchPlan(context, flags);
    context.print(printPlan(plan, { phrases: flags.has("phrases") }));
    return 0;
  },
};

async function launchPlan(context: OciContext, flags: Flags): Promise<Plan> {
  if (flags.rest.length > 1) throw usageError(`"${ociName} explain" takes a command only with --exec`);
  const named = flags.rest[0];
  // a folder with a config is a bundle, whatever it is called
  const path = named !== undefined && existsSync(join(named, "config.json")) ? named : undefined;
  const id = checkId(path === undefined ? (named ?? "example") : "example");
  const state = join(context.root, id);
  const bundle = readBundle(flags, path);
  await using unit = await unitFor(context, { id, config: bundle.config, state });
  const { plan } = await compileLaunch(context, {
    id,
    state,
    bundle,
    flags,
    cgroups: unit?.cgroups,
    kind: flags.has("create") ? "create" : "foreground",
    explained: true,
  });
  return plan;
}
