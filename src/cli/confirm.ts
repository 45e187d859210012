/** docker's question before much is removed. */
import { readSync } from "node:fs";
import { errnoOf } from "../base/error.ts";
import type { CommandContext } from "./context.ts";

/** Shows what would happen; true if the user says yes. The end of the input is a no. */
export async function confirm(context: CommandContext, warning: string): Promise<boolean> {
  context.out(`${warning}\nAre you sure you want to continue? [y/N] `);
  const answer = readLine();
  return answer === "y" || answer === "Y" || answer.toLowerCase() === "yes";
}

function readLine(): string {
  const byte = Buffer.alloc(1);
  let line = "";
  for (;;) {
    try {
      if (readSync(0, byte, 0, 1, null) === 0) return line.trim();
    } catch (error) {
      if (errnoOf(error) === "EAGAIN") {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
        continue;
      }
      return line.trim();
    }
    const character = byte.toString("latin1");
    if (character === "\n" || line.length > 100) return line.trim();
    line += character;
  }
}
