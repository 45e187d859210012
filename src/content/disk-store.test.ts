import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { isGantryError } from "../base/error.ts";
import { digestHex, digestOf } from "../spec/digest.ts";
import { collect, contentStoreContract, sampleBytes } from "./contract.ts";
import { DiskContentStore } from "./disk-store.ts";
import { writeBlob } from "./read-all.ts";

const folder = mkdtempSync(join(tmpdir(), "gantry-content-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
const newRoot = () => join(folder, String(++count));

contentStoreContract("disk", async () => new DiskContentStore(newRoot()));

const bytes = sampleBytes(100_000);
const expected = { digest: digestOf(bytes), size: bytes.length };
const key = `sha256-${digestHex(expected.digest)}`;
/** No process has pid 4194304 (PID_MAX_LIMIT of Linux is one less than may be given). */
const deadOwner = "4194304-1-1-00000000";

async function storeWithPartial(name: string, content: Uint8Array) {
  const root = newRoot();
  const store = new DiskContentStore(root);
  await writeBlob(store, Buffer.from("other"));
  writeFileSync(join(root, "ingest", name), content);
  return { root, store };
}

test("a partial blob of a dead process is resumed", async () => {
  const { root, store } = await storeWithPartial(`${key}.${deadOwner}.00`, bytes.subarray(0, 60_000));
  await using ingest = await store.ingest(expected);
  assert.equal(ingest.offset, 60_000);
  await ingest.write(bytes.subarray(60_000));
  await ingest.commit();
  assert.ok((await collect(store.read(expected.digest))).equals(bytes));
  assert.deepEqual(readdirSync(join(root, "ingest")), []);
});

test("a partial blob whose end a power cut turned to zeros is found out and not kept", async () => {
  const torn = Buffer.from(bytes.subarray(0, 60_000));
  torn.fill(0, 40_960);
  const { root, store } = await storeWithPartial(`${key}.idle.00`, torn);
  {
    await using ingest = await store.ingest(expected);
    assert.equal(ingest.offset, 60_000);
    await ingest.write(bytes.subarray(60_000));
    await assert.rejects(
      ingest.commit(),
      (error) => isGantryError(error, "data-loss") && error.detail.resumedAt === 60_000,
      "the error says that it began in the middle, so that the caller starts anew",
    );
  }
  assert.deepEqual(readdirSync(join(root, "ingest")), []);
  assert.equal(await store.info(expected.digest), undefined);
  await using anew = await store.ingest(expected);
  assert.equal(anew.offset, 0);
});

test("a partial blob that is longer than the whole is thrown away", async () => {
  const { root, store } = await storeWithPartial(`${key}.idle.00`, Buffer.alloc(bytes.length + 1));
  await using ingest = await store.ingest(expected);
  assert.equal(ingest.offset, 0);
  assert.equal(readdirSync(join(root, "ingest")).length, 1);
});

test("a partial blob that a living process writes is left to it", async () => {
  const { root, store } = await storeWithPartial(`${key}.idle.00`, bytes.subarray(0, 10));
  await using first = await store.ingest(expected);
  await using second = await store.ingest(expected);
  assert.deepEqual([first.offset, second.offset], [10, 0]);
  assert.equal(await store.sweep({ maxAgeMs: 0 }), 0);
  assert.equal(readdirSync(join(root, "ingest")).length, 2);
});

test("a blob that lost its end is not read silently, and the next ingest replaces it", async () => {
  const root = newRoot();
  const store = new DiskContentStore(root);
  await writeBlob(store, bytes);
  const path = join(root, "blobs/sha256", digestHex(expected.digest));
  chmodSync(path, 0o600);
  truncateSync(path, 50_000);
  await assert.rejects(collect(store.read(expected.digest)), (error) => isGantryError(error, "data-loss"));
  await using ingest = await store.ingest(expected);
  await ingest.write(bytes);
  await ingest.commit();
  assert.ok((await collect(store.read(expected.digest))).equals(bytes));
});

test("a removal that died half-way is undone by sweep", async () => {
  const root = newRoot();
  const store = new DiskContentStore(root);
  await writeBlob(store, bytes);
  await store.remove(expected.digest, { unless: () => true });
  writeFileSync(join(root, "trash", `${key}.${deadOwner}.00`), bytes);
  rmSync(join(root, "blobs/sha256", digestHex(expected.digest)));
  await store.sweep();
  assert.ok((await collect(store.read(expected.digest))).equals(bytes));
});

test("blobs are read-only files", async () => {
  const root = newRoot();
  await writeBlob(new DiskContentStore(root), bytes);
  assert.equal(statSync(join(root, "blobs/sha256", digestHex(expected.digest))).mode & 0o777, 0o444);
});

test("a store that cannot be created gives an error that names the folder", async () => {
  const file = join(folder, "a-file");
  writeFileSync(file, "");
  const store = new DiskContentStore(join(file, "below"));
  await assert.rejects(store.ingest(expected), /look up blob ".*a-file\/below\/blobs.*": not a directory/);
});

test("a full disk is resource-exhausted, and the partial blob goes", {
  skip: existsSync("/dev/full") ? false : "no /dev/full",
}, async () => {
  // /dev/full answers ENOSPC to every write: stands in for the partial file by its name
  const { symlinkSync } = await import("node:fs");
  const { DiskIngest } = await import("./disk-ingest.ts");
  const { DiskLayout } = await import("./disk-layout.ts");
  const { open } = await import("node:fs/promises");
  const root = newRoot();
  await writeBlob(new DiskContentStore(root), Buffer.from("x"));
  const path = join(root, "ingest", `${key}.${deadOwner}.00`);
  symlinkSync("/dev/full", path);
  const ingest = new DiskIngest(new DiskLayout(root), await open(path, "r+"), path, 0, expected);
  await assert.rejects(ingest.write(bytes), (error) => isGantryError(error, "resource-exhausted"));
  assert.deepEqual(readdirSync(join(root, "ingest")), []);
});
