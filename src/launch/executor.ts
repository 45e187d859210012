/**
 * Finds the executor, the one native program of Gantry: named by the caller or GANTRY_EXECUTOR, beside
 * the running program or library, else a copy that the compiled program carries in itself.
 */
import { accessSync, constants } from "node:fs";
import { dirname, join } from "node:path";
import { GantryError } from "../base/error.ts";

const name = "gantry-executor";

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Places where an installation keeps it: next to the compiled program, or above the library's modules. */
function candidates(): readonly string[] {
  const here = import.meta.dirname;
  return [
    join(dirname(process.execPath), name),
    join(here, "..", "..", name), // dist/lib/launch -> dist
    join(here, "..", "..", "dist", name), // src/launch -> dist
  ];
}

/** The absolute path of the executor; failed-precondition names every place that was looked at. */
export function findExecutor(explicit?: string): string {
  const asked = explicit ?? process.env.GANTRY_EXECUTOR;
  const places = asked ? [asked] : candidates();
  for (const place of places) if (isExecutable(place)) return place;
  throw new GantryError(
    "failed-precondition",
    `find ${name}: not at ${places.join(", ")}; build it with "npm run build"`,
    {
      detail: { places },
    },
  );
}
