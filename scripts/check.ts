/** `npm run check [-- NAME…]`: runs the checks and shows what each has to say. */
import { checks, runCheck } from "./checks.ts";

const chosen = process.argv.slice(2);
for (const [name, command] of Object.entries(checks)) {
  if (chosen.length > 0 && !chosen.some((word) => name.includes(word))) continue;
  const done = await runCheck(command);
  console.log(`${done.code === 0 ? "ok  " : "FAIL"} ${name} (${(done.ms / 1000).toFixed(1)} s)`);
  if (done.code === 0) continue;
  console.log(done.output.trimEnd());
  process.exitCode = 1;
}
