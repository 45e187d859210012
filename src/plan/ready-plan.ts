/** A plan as it goes to the executor. */
import { encodePlan } from "./encode.ts";
import type { Plan } from "./plan.ts";

export interface ReadyPlan {
  readonly bytes: Uint8Array;
  /** How often the executor asks whether to go on. */
  readonly syncs: number;
  /** The same in words: for the report of a failure, and for the clean-up of an executor that was killed. */
  plan(): Plan;
}

export function readyPlan(plan: Plan): ReadyPlan {
  return {
    bytes: encodePlan(plan),
    syncs: plan.host.filter((step) => step.op === "sync").length,
    plan: () => plan,
  };
}

/**
 * The plans of one kind, which differ in a name only. `plan` makes the one of a name, and is asked once with a name of
 * our own; from then on the name is exchanged in its bytes.
 *
 * @param standIn a name that is known to nobody: it is looked for in all the bytes
 */
export function planMold(standIn: string, plan: (name: string) => Plan): (name: string) => ReadyPlan {
  const mold = readyPlan(plan(standIn));
  const places: number[] = [];
  const bytes = Buffer.from(mold.bytes);
  for (let at = bytes.indexOf(standIn); at >= 0; at = bytes.indexOf(standIn, at + standIn.length))
    places.push(at);
  return (name) => {
    // a plan states the lengths of its texts
    if (name.length !== standIn.length) return readyPlan(plan(name));
    const own = Buffer.from(bytes);
    for (const place of places) own.write(name, place, "latin1");
    return { bytes: own, syncs: mold.syncs, plan: () => plan(name) };
  };
}
