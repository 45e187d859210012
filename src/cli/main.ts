/** Entry of the compiled executable. Nothing is imported before it is needed. */
const { runProgram } = await import("./program.ts");
process.exit(await runProgram(process.argv.slice(2)));
