/**
 * Entry of the compiled executable: `gantry …`, or the OCI runtime when it was started under the name
 * `gantry-oci`. Nothing is imported before it is needed.
 */
import { basename } from "node:path";

if (basename(process.argv0) === "gantry-oci") {
  const { runOciCommand } = await import("../oci/command.ts");
  process.exit(await runOciCommand(process.argv.slice(2), process.env));
}
const { runProgram } = await import("./program.ts");
process.exit(await runProgram(process.argv.slice(2)));
