/** Containers that the cases of docker and podman share. */
import assert from "node:assert/strict";
import type { Caller } from "../caller.ts";

const sleeper = ["sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done"];

/** A container that says "up", and ends with status 3 at SIGTERM. */
export async function sleeping(caller: Caller, ...flags: string[]): Promise<string> {
  const name = await caller.detached([...flags, caller.image, ...sleeper]);
  await caller.says(name, "up");
  return name;
}

export function inside(caller: Caller, flags: readonly string[], script: string) {
  return caller.run(["--rm", ...flags, caller.image, "sh", "-c", script]);
}

export async function prints(caller: Caller, flags: readonly string[], script: string): Promise<string> {
  const { code, stdout, stderr } = await inside(caller, flags, script);
  assert.equal(code, 0, stderr);
  return stdout.trimEnd();
}
