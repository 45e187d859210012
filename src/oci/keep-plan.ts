/** Keeps the plan of a launch for the next call that differs from this one in names only. */
import { closeSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { silentLogger } from "../base/log.ts";
import { parseRuntimeConfig } from "../spec/runtime-config.ts";
import type { OciContext } from "./context.ts";
import { encodeTold } from "./execute-plan.ts";
import { type FlagTable, parseFlags } from "./flags.ts";
import { globalFlags, settingsOf } from "./global-flags.ts";
import { encodeKeptPlan, keptPlanLimitBytes, type LaunchCall, readLaunchCall } from "./kept-launch.ts";
import { compileLaunch, type LaunchRequest } from "./launch-container.ts";
import { fillIn, findPlaces, replaceMarks, strangeNames } from "./plan-template.ts";
import { filterFile } from "./stored-filter.ts";

/** The call's own names, each once. */
function namesOf({ marks, names, config }: LaunchCall, words: readonly string[]): readonly string[] {
  return Array.from({ length: names }, (_, name) => {
    const { word, offset, length } = marks.find((mark) => mark.name === name)!;
    const text = word === 0 ? config : Buffer.from(words[word - 1]!);
    return text.toString("latin1", offset, offset + length);
  });
}

/** The same bytes as the text of another encoding. */
const latin = (text: string) => Buffer.from(text).toString("latin1");
const unlatin = (text: string) => Buffer.from(text, "latin1").toString();

/** What the plan of this launch would be under other names. */
async function compileUnder(
  names: readonly string[],
  call: LaunchCall,
  context: OciContext,
  { kind, flagTable }: { readonly kind: LaunchRequest["kind"]; readonly flagTable: FlagTable },
): Promise<Uint8Array> {
  const marksIn = (word: number) => call.marks.filter((mark) => mark.word === word);
  const argv = context.argv.map((word, index) =>
    unlatin(replaceMarks(latin(word), marksIn(index + 1), names)),
  );
  const text = unlatin(replaceMarks(call.config.toString("latin1"), marksIn(0), names));
  const before = parseFlags(argv, globalFlags);
  const strangeContext = {
    ...context,
    ...settingsOf(before, context.env),
    log: silentLogger,
    argv,
  };
  const flags = parseFlags(before.rest.slice(1), flagTable);
  const id = flags.rest[0]!;
  const path = flags.text("bundle")!;
  const { plan } = await compileLaunch(strangeContext, {
    id,
    state: join(strangeContext.root, id),
    bundle: { path, text, config: parseRuntimeConfig(text) },
    flags,
    kind,
  });
  return encodeTold(strangeContext, before.rest[0]!, plan);
}

/**
 * `plan`: as it goes to the executor. Nothing is kept where the plan is more than its names, or cannot be written:
 * then the next call is compiled like this one.
 */
export async function keepPlan(
  descriptor: number,
  plan: Uint8Array,
  context: OciContext,
  launch: {
    readonly kind: LaunchRequest["kind"];
    readonly flagTable: FlagTable;
    /** The container's directory. */
    readonly state: string;
  },
): Promise<void> {
  const call = readLaunchCall(descriptor);
  closeSync(descriptor);
  const own = namesOf(call, context.argv);
  const known = [
    latin(context.argv.join(" ")),
    call.config.toString("latin1"),
    Buffer.from(plan).toString("latin1"),
  ];
  const strangers = strangeNames(own, known.join("\n"));
  if (!strangers) return;
  const template = await compileUnder(strangers, call, context, launch);
  const places = findPlaces(template, strangers);
  if (!fillIn(template, places, own).equals(plan)) return;
  const kept = encodeKeptPlan({
    key: call.key,
    places,
    plan: Buffer.from(template),
    filter: filterFile(launch.state),
  });
  if (kept.length > keptPlanLimitBytes) return;
  try {
    writeFileAtomic(join(context.root, ".plans", call.slot), kept);
  } catch (error) {
    context.log.debug("the plan could not be kept", { error: String(error) });
  }
}
