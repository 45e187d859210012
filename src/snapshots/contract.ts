/** The promise of snapshotter.ts as tests, run by every implementation. */
import assert from "node:assert/strict";
import test from "node:test";
import { GantryError } from "../base/error.ts";
import { type Digest, digestOf } from "../spec/digest.ts";
import type { Snapshotter } from "./snapshotter.ts";

export interface ContractSubject extends AsyncDisposable {
  readonly snapshotter: Snapshotter;
  /** Unpacks a layer of these files. */
  addLayer(
    chainId: Digest,
    parent: Digest | undefined,
    files: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Writes into an active snapshot, as a container would. */
  write(key: string, path: string, text: string): Promise<void>;
}

const base = digestOf("base");
const middle = digestOf("middle");
const top = digestOf("top");

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString();
const coded = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof GantryError && error.code === code && message.test(error.message);

export interface ContractOptions {
  readonly name: string;
  readonly skip?: string | false;
  open(): Promise<ContractSubject>;
}

async function withLayers(options: ContractOptions): Promise<ContractSubject> {
  const subject = await options.open();
  await subject.addLayer(base, undefined, { "etc/passwd": "root:x:0:0", "etc/base": "base" });
  await subject.addLayer(middle, base, { "etc/middle": "middle", "etc/passwd": "root:x:1:1" });
  return subject;
}

export function snapshotterContract(options: ContractOptions): void {
  const it = (name: string, run: (subject: ContractSubject) => Promise<void>) =>
    test(`${options.name}: ${name}`, { skip: options.skip || false }, async () => {
      await using subject = await withLayers(options);
      await run(subject);
    });

  it("prepare gives a place for writes over the layers, top first", async ({ snapshotter, write }) => {
    const mounts = await snapshotter.prepare("c1", { parent: middle });
    assert.equal(mounts.kind, "overlay");
    assert.equal(mounts.lower.length, 2);
    assert.ok(mounts.upper && mounts.work && mounts.upper !== mounts.work);
    assert.deepEqual(await snapshotter.mounts("c1"), mounts);
    const base1 = await snapshotter.prepare("c2", { parent: base });
    assert.equal(base1.lower[0], mounts.lower[1]);
    assert.equal(text(await snapshotter.readFile("c1", "/etc/passwd")), "root:x:1:1");
    assert.equal(text(await snapshotter.readFile("c1", "etc/base")), "base");
    await write("c1", "etc/passwd", "mine");
    assert.equal(text(await snapshotter.readFile("c1", "/etc/passwd")), "mine");
    assert.equal(text(await snapshotter.readFile("c2", "/etc/passwd")), "root:x:0:0");
    assert.equal(await snapshotter.readFile("c1", "/etc/nothing"), undefined);
    await assert.rejects(
      snapshotter.readFile("c1", "/etc/base", { limitBytes: 3 }),
      coded("resource-exhausted", /longer than 3 bytes/),
    );
  });

  it("a view takes no writes and always has two directories", async ({ snapshotter }) => {
    const view = await snapshotter.view("v", { parent: base });
    assert.equal(view.upper, undefined);
    assert.equal(view.work, undefined);
    assert.equal(view.lower.length, 2);
    assert.equal((await snapshotter.stat("v")).kind, "view");
    await assert.rejects(
      snapshotter.commit("v", top),
      coded("failed-precondition", /a view takes no writes/),
    );
    assert.deepEqual(await snapshotter.usage("v"), { sizeBytes: 0, inodes: 0 });
  });

  it("prepare without a parent gives an empty root", async ({ snapshotter }) => {
    const mounts = await snapshotter.prepare("scratch");
    assert.equal(mounts.lower.length, 1);
    assert.equal(await snapshotter.readFile("scratch", "/etc/passwd"), undefined);
    assert.equal((await snapshotter.stat("scratch")).parent, undefined);
  });

  it("prepare refuses a key that is taken, a parent that is missing and a key that is no name", async ({
    snapshotter,
  }) => {
    await snapshotter.prepare("k", { parent: base });
    await assert.rejects(snapshotter.prepare("k", { parent: base }), coded("already-exists", /"k".*taken/));
    await assert.rejects(snapshotter.view("k"), coded("already-exists", /"k"/));
    await assert.rejects(snapshotter.prepare("m", { parent: top }), coded("not-found", /not unpacked/));
    await assert.rejects(snapshotter.stat("m"), coded("not-found", /"m"/));
    for (const key of ["", "../x", "a/b", ".hidden", "x".repeat(129)])
      await assert.rejects(snapshotter.prepare(key), coded("invalid-argument", /key/));
  });

  it("of many that prepare one key at once, one wins", async ({ snapshotter }) => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => snapshotter.prepare("race", { parent: middle })),
    );
    assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
    for (const result of results)
      if (result.status === "rejected") assert.ok(coded("already-exists", /race/)(result.reason));
    assert.equal((await snapshotter.list()).length, 1);
  });

  it("commit makes a layer of a snapshot, once", async ({ snapshotter, write }) => {
    await snapshotter.prepare("c", { parent: middle });
    await write("c", "etc/new", "new");
    await snapshotter.commit("c", top);
    await assert.rejects(snapshotter.stat("c"), coded("not-found", /"c"/));
    assert.equal((await snapshotter.statLayer(top)).parentChainId, middle);
    await assert.rejects(snapshotter.commit("c", top), coded("not-found", /"c"/));
    await snapshotter.prepare("d", { parent: top });
    assert.equal((await snapshotter.mounts("d")).lower.length, 3);
    assert.equal(text(await snapshotter.readFile("d", "etc/new")), "new");
    assert.equal(text(await snapshotter.readFile("d", "etc/middle")), "middle");
    await write("d", "etc/new", "other");
    await snapshotter.commit("d", top);
    await snapshotter.prepare("e", { parent: top });
    assert.equal(text(await snapshotter.readFile("e", "etc/new")), "new", "the first layer of a name stands");
  });

  it("remove takes a snapshot away, and only once", async ({ snapshotter, write }) => {
    await snapshotter.prepare("c", { parent: base });
    await write("c", "etc/x", "x");
    await snapshotter.remove("c");
    await assert.rejects(snapshotter.remove("c"), coded("not-found", /"c"/));
    await assert.rejects(snapshotter.mounts("c"), coded("not-found", /"c"/));
    await snapshotter.prepare("c", { parent: base });
    assert.equal(await snapshotter.readFile("c", "etc/x"), undefined);
  });

  it("a layer stays while a layer or a snapshot lies on it", async ({ snapshotter }) => {
    await assert.rejects(snapshotter.removeLayer(base), coded("failed-precondition", /lies on it/));
    await snapshotter.prepare("c", { parent: middle });
    await assert.rejects(snapshotter.removeLayer(middle), coded("failed-precondition", /lies on it/));
    assert.equal(await snapshotter.hasLayer(middle), true);
    await snapshotter.remove("c");
    assert.equal(await snapshotter.removeLayer(middle), true);
    assert.equal(await snapshotter.removeLayer(middle), false);
    assert.equal(await snapshotter.removeLayer(base), true);
    assert.deepEqual(await snapshotter.listLayers(), []);
  });

  it("a layer is put back when unless says so, or fails", async ({ snapshotter }) => {
    let seen = true;
    const unless = async () => {
      seen = await snapshotter.hasLayer(middle);
      return true;
    };
    assert.equal(await snapshotter.removeLayer(middle, { unless }), false);
    assert.equal(seen, false, "hidden while it is asked");
    await assert.rejects(
      snapshotter.removeLayer(middle, { unless: () => Promise.reject(new Error("asked in vain")) }),
      /asked in vain/,
    );
    assert.equal(await snapshotter.hasLayer(middle), true);
    assert.equal((await snapshotter.listLayers()).length, 2);
  });

  it("usage counts what the snapshot holds by itself", async ({ snapshotter, write }) => {
    await snapshotter.prepare("c", { parent: middle });
    const before = await snapshotter.usage("c");
    await write("c", "big", "x".repeat(100_000));
    const after = await snapshotter.usage("c");
    assert.equal(after.inodes, before.inodes + 1);
    assert.ok(after.sizeBytes - before.sizeBytes >= 100_000);
  });

  it("an aborted signal stops before anything is done", async ({ snapshotter }) => {
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(snapshotter.prepare("c", { parent: base, signal }), /enough/);
    await assert.rejects(snapshotter.stat("c"), coded("not-found", /"c"/));
    await assert.rejects(snapshotter.removeLayer(middle, { signal }), /enough/);
    assert.equal(await snapshotter.hasLayer(middle), true);
  });
}
