/** C programs of the tests, built once for each version of their source: where one lies ready no compiler is needed. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { must } from "./command.ts";
import { fixtures, once } from "./fixtures.ts";
import { top } from "./sandbox.ts";

export interface Compiled {
  /** What `needs` has to find. */
  readonly needs: readonly string[];
  /** Builds it if nobody has yet; hands back its path. */
  build(): Promise<string>;
}

/** `source` is a path within the checkout; `flags` say what is made of it. */
export function compiled(source: string, flags: readonly string[] = ["-static"]): Compiled {
  const file = join(top, source);
  const stamp = createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 12);
  const program = join(fixtures, `${basename(source, ".c")}-${stamp}`);
  return {
    needs: existsSync(program) ? [] : ["cc"],
    build: () =>
      once(program, async (temporary) => {
        await must(["cc", "-O1", ...flags, "-Wall", "-Wextra", "-Werror", "-o", temporary, file]);
      }),
  };
}
