/** Which boot of the machine this is: what ran in another one runs no more. */
import { readFileSync } from "node:fs";

let known: string | undefined;

export function bootId(): string {
  known ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return known;
}
