/** What every content store must do, as tests. Each implementation's test file calls it. */
import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import type { ContentStore, ExpectedBlob, Ingest } from "./content-store.ts";
import { writeBlob } from "./read-all.ts";

/** Bytes that differ from place to place, so that a shifted or repeated part changes the digest. */
export function sampleBytes(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[index] = state >>> 16;
  }
  return bytes;
}

function expectedOf(bytes: Uint8Array): ExpectedBlob {
  return { digest: digestOf(bytes), size: bytes.length };
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function isAbsent(store: ContentStore, digest: Digest): Promise<boolean> {
  return (await store.info(digest)) === undefined;
}

async function digestsIn(store: ContentStore): Promise<Digest[]> {
  const result: Digest[] = [];
  for await (const { digest } of store.list()) result.push(digest);
  return result.sort();
}

/** Registers the contract; `make` gives an empty store each time. */
export function contentStoreContract(kind: string, make: () => Promise<ContentStore>): void {
  const it = (sentence: string, body: (store: ContentStore) => Promise<void>) =>
    test(`${kind} content store: ${sentence}`, async () => await body(await make()));

  it("a committed blob is readable as a whole and from an offset", async (store) => {
    const bytes = sampleBytes(3_000_000);
    const expected = expectedOf(bytes);
    {
      await using ingest = await store.ingest(expected);
      assert.equal(ingest.offset, 0);
      await ingest.write(bytes.subarray(0, 1_000_000));
      await ingest.write(bytes.subarray(1_000_000));
      assert.equal(ingest.offset, bytes.length);
      assert.ok(await isAbsent(store, expected.digest), "invisible before the commit");
      assert.deepEqual(await ingest.commit(), { digest: expected.digest, sizeBytes: bytes.length });
    }
    assert.deepEqual(await store.info(expected.digest), { digest: expected.digest, sizeBytes: bytes.length });
    assert.ok((await collect(store.read(expected.digest))).equals(bytes));
    assert.ok(
      (await collect(store.read(expected.digest, { offset: 2_999_990 }))).equals(bytes.subarray(2_999_990)),
    );
    assert.equal((await collect(store.read(expected.digest, { offset: bytes.length }))).length, 0);
    assert.deepEqual(await digestsIn(store), [expected.digest]);
  });

  it("an empty blob is a blob", async (store) => {
    const expected = await writeBlob(store, new Uint8Array());
    assert.deepEqual(await store.info(expected.digest), { digest: expected.digest, sizeBytes: 0 });
    assert.equal((await store.readAll(expected.digest)).length, 0);
  });

  it("wrong bytes are refused with data-loss and nothing stays", async (store) => {
    const expected = { digest: digestOf("right"), size: 5 };
    await using ingest = await store.ingest(expected);
    await ingest.write(Buffer.from("wrong"));
    await assert.rejects(ingest.commit(), (error) => isGantryError(error, "data-loss"));
    assert.ok(await isAbsent(store, expected.digest));
    await using again = await store.ingest(expected);
    assert.equal(again.offset, 0, "the wrong bytes are not resumed");
  });

  it("too few bytes are refused at commit, too many at once", async (store) => {
    const bytes = sampleBytes(100);
    {
      await using short = await store.ingest(expectedOf(bytes));
      await short.write(bytes.subarray(0, 99));
      await assert.rejects(short.commit(), (error) => isGantryError(error, "data-loss"));
    }
    await using long = await store.ingest(expectedOf(bytes));
    await long.write(bytes);
    await assert.rejects(long.write(Buffer.from("x")), (error) => isGantryError(error, "data-loss"));
    assert.ok(await isAbsent(store, expectedOf(bytes).digest));
  });

  it("an ingest that was given up is resumed where it stopped", async (store) => {
    const bytes = sampleBytes(200_000);
    {
      await using first = await store.ingest(expectedOf(bytes));
      await first.write(bytes.subarray(0, 150_000));
    }
    await using second = await store.ingest(expectedOf(bytes));
    assert.equal(second.offset, 150_000);
    assert.ok((await collect(second.readBack())).equals(bytes.subarray(0, 150_000)));
    await second.write(bytes.subarray(150_000));
    await second.commit();
    assert.ok((await collect(store.read(expectedOf(bytes).digest))).equals(bytes));
  });

  it("resuming without reading back verifies the resumed part all the same", async (store) => {
    const bytes = sampleBytes(50_000);
    {
      await using first = await store.ingest(expectedOf(bytes));
      await first.write(sampleBytes(20_000, 77));
    }
    await using second = await store.ingest(expectedOf(bytes));
    await second.write(bytes.subarray(20_000));
    await assert.rejects(second.commit(), (error) => isGantryError(error, "data-loss"));
    assert.ok(await isAbsent(store, expectedOf(bytes).digest));
  });

  it("a discarded ingest is not resumed", async (store) => {
    const bytes = sampleBytes(1000);
    {
      await using first = await store.ingest(expectedOf(bytes));
      await first.write(bytes.subarray(0, 500));
      await first.discard();
    }
    await using second = await store.ingest(expectedOf(bytes));
    assert.equal(second.offset, 0);
  });

  it("two ingests of one blob at the same time both end well", async (store) => {
    const bytes = sampleBytes(300_000);
    const one = async (ingest: Ingest) => {
      await using owned = ingest;
      for (let at = owned.offset; at < bytes.length; at += 50_000)
        await owned.write(bytes.subarray(at, at + 50_000));
      await owned.commit();
    };
    const [a, b] = [await store.ingest(expectedOf(bytes)), await store.ingest(expectedOf(bytes))];
    await Promise.all([one(a), one(b)]);
    assert.ok((await collect(store.read(expectedOf(bytes).digest))).equals(bytes));
    assert.deepEqual(await digestsIn(store), [expectedOf(bytes).digest]);
  });

  it("an ingest of what is complete answers already-exists", async (store) => {
    const expected = await writeBlob(store, sampleBytes(10));
    await assert.rejects(store.ingest(expected), (error) => isGantryError(error, "already-exists"));
    assert.deepEqual(await writeBlob(store, sampleBytes(10)), expected, "writeBlob does not mind");
  });

  it("an unnamed ingest finds its digest, or checks the one it is told, sha512 too", async (store) => {
    const bytes = sampleBytes(70_000);
    for (const expected of [undefined, { digest: digestOf(bytes, "sha512") }]) {
      await using ingest = await store.ingestUnnamed();
      await ingest.write(bytes.subarray(0, 3));
      await ingest.write(bytes.subarray(3));
      const info = await ingest.commit(expected);
      assert.equal(info.digest, expected?.digest ?? digestOf(bytes));
      assert.ok((await collect(store.read(info.digest))).equals(bytes));
    }
    await using wrong = await store.ingestUnnamed();
    await wrong.write(bytes);
    await assert.rejects(wrong.commit({ digest: digestOf("other") }), (error) =>
      isGantryError(error, "data-loss"),
    );
  });

  it("what is not there is not-found to read and undefined to info", async (store) => {
    const digest = digestOf("nothing");
    assert.equal(await store.info(digest), undefined);
    await assert.rejects(store.readAll(digest), (error) => isGantryError(error, "not-found"));
    assert.equal(await store.remove(digest), false);
    assert.deepEqual(await digestsIn(store), []);
  });

  it("readAll stops at its limit", async (store) => {
    const expected = await writeBlob(store, sampleBytes(2000));
    assert.equal((await store.readAll(expected.digest, { limitBytes: 2000 })).length, 2000);
    await assert.rejects(store.readAll(expected.digest, { limitBytes: 1999 }), (error) =>
      isGantryError(error, "resource-exhausted"),
    );
  });

  it("remove asks in between, and puts back what must stay", async (store) => {
    const expected = await writeBlob(store, sampleBytes(2000));
    let seenMeanwhile: boolean | undefined;
    const removed = await store.remove(expected.digest, {
      unless: async () => {
        seenMeanwhile = (await store.info(expected.digest)) !== undefined;
        return true;
      },
    });
    assert.equal(removed, false);
    assert.equal(seenMeanwhile, false, "hidden while it is asked");
    assert.equal((await store.readAll(expected.digest)).length, 2000);
    assert.equal(await store.remove(expected.digest, { unless: () => false }), true);
    assert.ok(await isAbsent(store, expected.digest));
  });

  it("a removal whose question fails puts the blob back", async (store) => {
    const expected = await writeBlob(store, sampleBytes(20));
    const question = () => {
      throw new Error("cannot tell");
    };
    await assert.rejects(store.remove(expected.digest, { unless: question }), /cannot tell/);
    assert.ok(!(await isAbsent(store, expected.digest)));
  });

  it("an aborted call stops with the reason", async (store) => {
    const expected = await writeBlob(store, sampleBytes(3_000_000));
    const reason = new Error("enough");
    const abort = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of store.read(expected.digest, { signal: abort.signal })) abort.abort(reason);
      // a store may hand out a blob in one chunk
      abort.signal.throwIfAborted();
    }, reason);
    await assert.rejects(store.ingest(expectedOf(sampleBytes(5)), { signal: abort.signal }), reason);
  });

  it("a reader that stops early does not disturb later ones", async (store) => {
    const expected = await writeBlob(store, sampleBytes(3_000_000));
    for await (const chunk of store.read(expected.digest)) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.equal((await collect(store.read(expected.digest))).length, 3_000_000);
  });

  it("sweep forgets partial blobs and keeps complete ones", async (store) => {
    const kept = await writeBlob(store, sampleBytes(20));
    const bytes = sampleBytes(1000);
    {
      await using ingest = await store.ingest(expectedOf(bytes));
      await ingest.write(bytes.subarray(0, 400));
    }
    assert.equal(await store.sweep({ maxAgeMs: 3_600_000 }), 0, "too young");
    assert.equal(await store.sweep({ maxAgeMs: 0 }), 400);
    await using again = await store.ingest(expectedOf(bytes));
    assert.equal(again.offset, 0);
    assert.deepEqual(await digestsIn(store), [kept.digest]);
  });
}
