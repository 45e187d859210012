/** All that the doctor looks at; with `mend`, what crashes have left is taken away. */
import { isGantryError } from "../../base/error.ts";
import type { Internals } from "../internals.ts";
import { examineCgroups } from "./cgroups.ts";
import type { Area, Finding, Leftover } from "./finding.ts";
import { examineKernel } from "./kernel.ts";
import { findLeftovers } from "./leftovers.ts";
import { examineStore } from "./store.ts";
import { examineTools, examineUsers } from "./tools.ts";

export interface ExamineOptions {
  /** Take away what crashes have left. What the machine lacks is told, never changed. */
  readonly mend?: boolean;
  readonly signal?: AbortSignal;
}

export async function examine(
  internals: Internals,
  options: ExamineOptions = {},
): Promise<readonly Finding[]> {
  const { signal } = options;
  const tools = await guarded("tools", async () => await examineTools(internals));
  const works = !tools.some(({ name, status }) => name === "gantry-executor" && status === "failed");
  signal?.throwIfAborted();
  // without the executor nothing can be tried
  const tried = works
    ? [
        ...(await guarded("kernel", async () => await examineKernel(internals))),
        ...(await guarded("cgroups", async () => await examineCgroups(internals))),
      ]
    : [];
  signal?.throwIfAborted();
  return [
    ...tried,
    ...(await guarded("users", async () => examineUsers(internals))),
    ...tools,
    ...(await guarded("store", async () => await examineStore(internals))),
    ...(await guarded("leftovers", async () => await examineLeftovers(internals, options))),
  ];
}

/** A part that cannot be examined is a finding too. */
async function guarded(area: Area, look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    if (!isGantryError(error)) throw error;
    return [{ area, name: "examination", status: "failed", detail: error.message }];
  }
}

async function examineLeftovers(
  internals: Internals,
  { mend, signal }: ExamineOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const left of await findLeftovers(internals)) {
    signal?.throwIfAborted();
    findings.push(await tellLeftover(left, mend ?? false));
  }
  if (findings.length === 0)
    findings.push({ area: "leftovers", name: "crashes", status: "ok", detail: "have left nothing" });
  return findings;
}

async function tellLeftover(left: Leftover, mend: boolean): Promise<Finding> {
  const { name, detail } = left;
  const common = { area: "leftovers", name } as const;
  if (!mend) return { ...common, status: "left", detail, mend: "gantry doctor --fix" };
  try {
    await left.remove();
    return { ...common, status: "mended", detail };
  } catch (error) {
    if (!isGantryError(error)) throw error;
    return { ...common, status: "left", detail: `${detail}; it cannot be removed: ${error.message}` };
  }
}
