/**
 * What the commands in C become (native/entry.c): `gantry …`, or the OCI runtime when it was started under the name
 * `gantry-oci`. Nothing is imported before it is needed.
 */
const args = process.argv.slice(2);
// the entry's word to this program alone, not to what it starts
delete process.env.BUN_JSC_useJIT;
delete process.env.BUN_JSC_useConcurrentJIT;
delete process.env.BUN_JSC_thresholdForJITAfterWarmUp;
delete process.env.BUN_JSC_thresholdForJITSoon;

if (/(^|\/)gantry-oci$/.test(process.argv0)) {
  const { runOciCommand } = await import("../oci/command.ts");
  process.exit(await runOciCommand(args));
}
const { runProgram } = await import("./program.ts");
process.exit(await runProgram(args));
