/**
 * Compresses the rotated log files of a container: a copy beside each one, which only its shim puts in the place of the
 * file (native/log.h). The copy bears the identity of the file in its name, since that moves on meanwhile, and at its
 * head, so that who has read the file finds its place (src/engine/packed-file.ts).
 */
import { createWriteStream, existsSync } from "node:fs";
import { open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { errnoOf, wrapErrno } from "../../base/error.ts";
import type { Internals } from "../internals.ts";
import { identityMember, identityOf } from "../packed-file.ts";
import { noSuchContainer } from "./container-store.ts";

export async function packLog(internals: Internals, id: string): Promise<void> {
  const record = internals.containers.read(id);
  if (!record) throw noSuchContainer(id);
  const { format, files } = record.log;
  const path = internals.containers.logPath(id, format);
  const wanted = new Set<string>();
  for (let index = 1; index < files; index++) {
    const packed = await packFile(path, `${path}.${index}`);
    if (packed !== undefined) wanted.add(packed);
  }
  await sweep(path, wanted);
}

/** The path of the copy; undefined if there is no such file. */
async function packFile(path: string, file: string): Promise<string | undefined> {
  try {
    // whatever becomes of its name, this is the file that is told of and read
    await using handle = await open(file, "r");
    const found = await handle.stat({ bigint: true });
    const packed = `${path}.packed.${found.ino}.${found.mtimeNs}`;
    if (existsSync(packed)) return packed;
    const partial = `${packed}.tmp`;
    const target = createWriteStream(partial, { mode: 0o640 });
    target.write(identityMember(identityOf(found)));
    await pipeline(handle.createReadStream({ autoClose: false }), createGzip(), target);
    await rename(partial, packed);
    return packed;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw wrapErrno(error, "compress log", file);
  }
}

/** Copies of files that are gone, and what a killed process has left. */
async function sweep(path: string, wanted: ReadonlySet<string>): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder))
    if (name.startsWith(`${basename(path)}.packed.`) && !wanted.has(join(folder, name)))
      await rm(join(folder, name), { force: true });
}
