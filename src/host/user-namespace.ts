/** Whether this process is in a user namespace, by its own id map. */
import { readFileSync } from "node:fs";

/** A kernel without user namespaces has no such file. */
export function readInUserNamespace(): boolean {
  let map: string;
  try {
    map = readFileSync("/proc/self/uid_map", "utf8");
  } catch {
    return false;
  }
  return !/^\s*0\s+0\s+4294967295\s*$/.test(map);
}
