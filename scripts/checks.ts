/** The checks that need no machine: types, lint and format, ranks, rings. */
import { type Finished, run } from "./run.ts";

const bun = "node_modules/.bin/bun";

export const checks: Readonly<Record<string, readonly string[]>> = {
  types: ["node_modules/.bin/tsc", "-p", "."],
  "lint and format": ["node_modules/.bin/biome", "check", "--error-on-warnings", "--max-diagnostics=8", "."],
  ranks: [bun, "tools/check-ranks.ts", "ranks"],
  rings: [bun, "tools/check-ranks.ts", "rings"],
  "specification table": [bun, "tools/generate-spec-table.ts", "--check"],
};

export function runCheck(command: readonly string[]): Promise<Finished> {
  return run(command, { timeoutMs: 300_000 });
}
