import { spawn } from "node:child_process";

/** Runs a command to its end with as little of our own work as there can be; fails unless it succeeds. */
export function quickly(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  /** "ignore" where what it leaves running would hold a pipe open. */
  stderr: "pipe" | "ignore" = "pipe",
): Promise<void> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", stderr],
    });
    let complaint = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ended with ${code ?? signal}: ${complaint.trim().slice(-300)}`));
    });
  });
}
