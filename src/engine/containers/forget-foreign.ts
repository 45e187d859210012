/**
 * What another runtime remembers of containers that do not run. It forgets them when it is told to; one that is gone
 * from the machine, or broken, cannot, and its state directory is of this store alone.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, isGantryError, wrapErrno } from "../../base/error.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";

export interface RememberedContainer {
  readonly runtime: string;
  readonly id: string;
}

/** Of all runtimes that were ever asked for in this boot. */
export function rememberedContainers({ layout }: Internals): readonly RememberedContainer[] {
  const entries = (dir: string): readonly string[] => {
    try {
      return readdirSync(dir);
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
      throw wrapErrno(error, "read directory", dir);
    }
  };
  return entries(layout.runtimes).flatMap((runtime) =>
    entries(join(layout.runtimes, runtime))
      .filter((id) => /^[0-9a-f]{64}$/.test(id))
      .map((id) => ({ runtime, id })),
  );
}

/** The container does not run, and the caller has its lock. */
export function forgetForeign(internals: Internals, id: string): void {
  const { runtimes } = internals.layout;
  if (!existsSync(runtimes)) return;
  for (const { runtime } of rememberedContainers(internals).filter((one) => one.id === id)) {
    const path = join(runtimes, runtime, id);
    internals.logger.warn("a runtime has not forgotten a container; its state is removed", { id, runtime });
    removeTree(path);
  }
}

/** Ends a container: with its runtime or, where that fails, without it. */
export async function withOrWithoutRuntime(
  internals: Internals,
  record: ContainerRecord,
  end: (options: { readonly runtime: boolean }) => Promise<void>,
): Promise<void> {
  try {
    await end({ runtime: true });
  } catch (error) {
    if (!record.runtime || !isGantryError(error) || error.detail.op !== "run-runtime") throw error;
    const { name } = record.runtime;
    internals.logger.warn("a runtime cannot delete a container, which is ended without it", {
      ...{ id: record.id, runtime: name, error: error.message },
    });
    await end({ runtime: false });
  }
  forgetForeign(internals, record.id);
}
