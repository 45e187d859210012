/**
 * Holds src/ to the ranks table in ARCHITECTURE.md.
 *
 *     bun tools/check-ranks.ts [ranks | rings]
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArchitecture } from "./architecture.ts";
import { againstTheRanks, forbiddenModules, rings, unlisted } from "./rank-rules.ts";

const top = join(import.meta.dirname, "..");
const which = process.argv[2];
const files = globSync("src/**/*.ts", { cwd: top })
  .sort()
  .map((path) => ({ path, text: readFileSync(join(top, path), "utf8") }));

const problems: string[] = [];
if (which !== "rings") {
  const architecture = parseArchitecture(readFileSync(join(top, "ARCHITECTURE.md"), "utf8"));
  problems.push(
    ...unlisted(files, architecture),
    ...againstTheRanks(files, architecture),
    ...forbiddenModules(files, architecture),
  );
}
if (which !== "ranks") problems.push(...rings(files));

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log(`${files.length} files keep to the ranks table`);
