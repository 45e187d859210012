/** Limits below what a living container uses: v2 would kill at once and is asked before, v1 refuses by itself. */
import { GantryError } from "../base/error.ts";
import type { PlacedCheck } from "../linux/place-resources.ts";
import { cgroupFor, type LivingCgroup } from "../plan/compile/living-cgroups.ts";
import type { RuntimeResources } from "../spec/runtime-resources.ts";
import { readCgroupNumber } from "./cgroup-files.ts";

/** A limit of v2 below what is in use would kill at once; the kernel itself does not refuse it. */
export function checkUsage(cgroups: readonly LivingCgroup[], checks: readonly PlacedCheck[]): void {
  for (const { controller, file, limit, pointer } of checks) {
    const usage = readCgroupNumber(cgroupFor(cgroups, 2, controller), file);
    if (usage === undefined || limit > usage) continue;
    const what = pointer === "/memory/swap" ? "memory+swap" : "memory";
    throw new GantryError("failed-precondition", `rejecting ${what} limit ${limit} <= usage ${usage}`, {
      detail: { pointer: `/linux/resources${pointer}` },
    });
  }
}

/** v1 refuses a limit below what is in use: runc tells of the usage then. */
export function explainRefusal(
  error: unknown,
  cgroups: readonly LivingCgroup[],
  patch: RuntimeResources,
): unknown {
  const pointer = "/linux/resources/memory/limit";
  const memory = cgroupFor(cgroups, 1, "memory");
  if (!(error instanceof GantryError) || !memory) return error;
  if (error.detail.errno !== "EBUSY" || error.detail.pointer !== pointer) return error;
  const usage = readCgroupNumber(memory, "memory.usage_in_bytes");
  const peak = readCgroupNumber(memory, "memory.max_usage_in_bytes");
  const asked = `${error.message.split(":", 1)[0]}: unable to set memory limit to ${patch.memory?.limit}`;
  return new GantryError(error.code, `${asked} (current usage: ${usage}, peak usage: ${peak})`, {
    detail: error.detail,
    cause: error,
  });
}
