/**
 * The filter of a policy, compiled once for all containers with the same run-time state: most of them have the same
 * policy, and compiling Docker's takes a program that has just started as long as all else that it compiles. Kept
 * beside the whole policy, which is compared byte by byte; in a bounded number of places.
 *
 *     <directory>/N      u32 bytes of the key | u32 flags | u32 listener | key | instructions
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../base/error.ts";
import { LastUsed } from "../base/last-used.ts";
import { seccompCacheKey } from "../linux/seccomp/cache-key.ts";
import type { SeccompFilter } from "../linux/seccomp/compile.ts";
import { needsFilter } from "../plan/compile/needs-filter.ts";
import type { PlanRequest } from "../plan/compile/request.ts";

const headerBytes = 12;
const places = 61;

/** The last ones of this program, by their keys: one that starts many containers has few policies. */
const known = new LastUsed<SeccompFilter>(16);

function readFilter(path: string, key: Buffer): SeccompFilter | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    // none was kept, or it cannot be read: then it is compiled
    return undefined;
  }
  const start = headerBytes + key.length;
  if (bytes.length <= start || bytes.readUInt32LE(0) !== key.length) return undefined;
  if (!bytes.subarray(headerBytes, start).equals(key) || (bytes.length - start) % 8 !== 0) return undefined;
  const program = bytes.subarray(start);
  return {
    program,
    instructions: program.length / 8,
    flags: bytes.readUInt32LE(4),
    listener: bytes.readUInt32LE(8) === 1,
  };
}

function writeFilter(path: string, key: Buffer, filter: SeccompFilter): void {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(key.length, 0);
  header.writeUInt32LE(Number(filter.flags), 4);
  header.writeUInt32LE(filter.listener ? 1 : 0, 8);
  const temporary = `${path}.${process.pid}`;
  const write = () => writeFileSync(temporary, Buffer.concat([header, key, filter.program]), { mode: 0o600 });
  try {
    try {
      write();
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
      write();
    }
    renameSync(temporary, path);
  } catch {
    // the next start compiles it again
  }
}

/** `directory`: nobody else's, made when it is first needed. */
export async function filterOf(
  directory: string,
  request: Omit<PlanRequest, "filter">,
): Promise<SeccompFilter | undefined> {
  const seccomp = request.config.linux?.seccomp;
  if (!needsFilter(seccomp)) return undefined;
  const text = seccompCacheKey(seccomp, request.facts.architecture);
  // who asks for all warnings gets those of the compiler too
  const ready = request.verbose ? undefined : known.get(text);
  if (ready) return ready;
  const key = Buffer.from(text);
  const path = join(directory, String(key.length % places));
  const kept = request.verbose ? undefined : readFilter(path, key);
  if (kept) return known.keep(text, kept);
  const { compileFilter } = await import("../plan/compile/seccomp.ts");
  const filter = compileFilter(request);
  if (filter === undefined) return undefined;
  writeFilter(path, key, filter);
  return known.keep(text, filter);
}
