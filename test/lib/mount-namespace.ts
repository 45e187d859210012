/**
 * A mount namespace of the test's own: what is mounted or unmounted there, the machine and other tests never see,
 * and it is gone when the test is, however that ends.
 */
import { spawn } from "node:child_process";

export interface MountNamespace extends AsyncDisposable {
  /** What stands before a command line that is to run in it. */
  readonly enter: readonly string[];
  /** A process that lives in it. */
  readonly pid: number;
}

/** Makes one and runs a shell script in it, which has to succeed. */
export async function ownMounts(script: string): Promise<MountNamespace> {
  const wrapped = `set -e\n${script}\necho ready\nexec cat`;
  const holder = spawn("unshare", ["--mount", "--propagation", "slave", "sh", "-c", wrapped]);
  // its stdin ends with this process
  const exited = new Promise<void>((resolve) => holder.on("exit", () => resolve()));
  let complaint = "";
  holder.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  await new Promise<void>((resolve, reject) => {
    holder.on("error", reject);
    holder.on("exit", (code) =>
      reject(new Error(`make a mount namespace: exit status ${code}\n${complaint}`)),
    );
    holder.stdout.once("data", () => resolve());
  });
  const pid = holder.pid!;
  return {
    enter: ["nsenter", `--mount=/proc/${pid}/ns/mnt`, "--"],
    pid,
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await exited;
    },
  };
}
