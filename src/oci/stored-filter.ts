/**
 * The seccomp filter of a container as `create` has compiled it, kept in its state directory: compiling Docker's
 * profile takes a program that has just started as long as all else that an exec does.
 *
 *     u32 flags | instructions        nothing at all where the policy needs no filter
 *
 * One with a listener is not kept: who gets that stands in the policy.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import type { SeccompFilter } from "../linux/seccomp/compile.ts";
import type { Plan } from "../plan/plan.ts";
import { stateFiles } from "../plan/state-files.ts";

const headerBytes = 4;
const instructionBytes = 8;

/** Keeps the filter of a start whose config has a policy. `directory`: the container's, below --root. */
export function storeFilter(directory: string, plan: Plan): void {
  const step = plan.child.find((one) => one.op === "load-seccomp");
  if (step && step.listener !== 0) return;
  const header = Buffer.alloc(headerBytes);
  if (step) header.writeUInt32LE(Number(step.flags));
  try {
    writeFileSync(join(directory, stateFiles.filter), step ? Buffer.concat([header, step.filter]) : "", {
      flag: "wx",
      mode: 0o600,
    });
  } catch (error) {
    throw wrapErrno(error, "store seccomp filter", directory);
  }
}

/** What storeFilter wrote; undefined if nothing. */
export function filterFile(directory: string): Buffer | undefined {
  const file = join(directory, stateFiles.filter);
  try {
    return readFileSync(file);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw wrapErrno(error, "read seccomp filter", file);
  }
}

/** Undefined if none was kept; a filter that is undefined is one that the policy does not need. */
export function readStoredFilter(
  directory: string,
): { readonly filter: SeccompFilter | undefined } | undefined {
  const bytes = filterFile(directory);
  if (bytes === undefined) return undefined;
  if (bytes.length === 0) return { filter: undefined };
  const program = bytes.subarray(headerBytes);
  if (program.length === 0 || program.length % instructionBytes !== 0)
    throw new GantryError("data-loss", `read seccomp filter in "${directory}": it is cut short`);
  const instructions = program.length / instructionBytes;
  return { filter: { program, instructions, flags: bytes.readUInt32LE(), listener: false } };
}
