/** The name of this machine; node:os, which tells it as well, takes longer to load than everything else that reads it. */
import { readFileSync } from "node:fs";
import { wrapErrno } from "../base/error.ts";

const file = "/proc/sys/kernel/hostname";

export function machineName(): string {
  try {
    return readFileSync(file, "utf8").trimEnd();
  } catch (error) {
    throw wrapErrno(error, "read the host's name", file);
  }
}
