/**
 * Compressed files that stand in the place of others: gzip (RFC 1952), whose first member is empty and has the identity
 * of the file that was compressed as its comment. So whoever has read that one knows where it went.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { GantryError } from "../base/error.ts";
import { randomHex } from "../base/random.ts";

const mark = "gantry file ";
const hasComment = 0x10;
/** Ten bytes of header, and the comment. */
const headBytes = 10 + mark.length + 41 + 1;

/** A file, whatever name it has: numbers of inodes are used again. */
export function identityOf({
  ino,
  birthtimeNs,
}: {
  readonly ino: bigint;
  readonly birthtimeNs: bigint;
}): string {
  return `${ino}.${birthtimeNs}`;
}

export function identityMember(identity: string): Uint8Array {
  return Buffer.concat([
    Buffer.from([0x1f, 0x8b, 8, hasComment, 0, 0, 0, 0, 0, 255]),
    Buffer.from(`${mark}${identity}\0`),
    // nothing, deflated; its checksum and length
    Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  ]);
}

/** Which file it was; undefined if it says nothing of that. */
export async function packedIdentity(handle: FileHandle): Promise<string | undefined> {
  const head = Buffer.alloc(headBytes);
  const { bytesRead } = await handle.read(head, 0, headBytes, 0);
  if (bytesRead < 10 || head[0] !== 0x1f || head[1] !== 0x8b || head[3] !== hasComment) return undefined;
  return /^gantry file (\d{1,20}\.\d{1,20})\0/.exec(head.toString("latin1", 10, bytesRead))?.[1];
}

/** The file as it was, to be read from any place: it lies on the disk as long as the handle is open, without a name. */
export async function openUnpacked(path: string): Promise<FileHandle> {
  const temporary = `${path}.${process.pid}.${randomHex(4)}.tmp`;
  try {
    await pipeline(
      createReadStream(path),
      createGunzip(),
      createWriteStream(temporary, { flags: "wx", mode: 0o600 }),
    );
    return await open(temporary, "r");
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code?.startsWith("Z_"))
      throw new GantryError("data-loss", `read "${path}": ${(error as Error).message}`, { cause: error });
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}
