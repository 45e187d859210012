import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { object, string } from "../base/decode.ts";
import { GantryError, isGantryError } from "../base/error.ts";
import { RecordStore, recordId } from "./record-store.ts";

interface Thing {
  readonly id: string;
  readonly name: string;
}

const [a, b, c] = ["a".repeat(64), `a${"b".repeat(63)}`, "c".repeat(64)];

function withStore(act: (store: RecordStore<Thing>, dir: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), "gantry-records-"));
  try {
    const places = { records: join(dir, "things"), states: join(dir, "states"), names: join(dir, "names") };
    const store = new RecordStore<Thing>({
      noun: "thing",
      form: { decoder: object({ id: recordId, name: string }), what: "thing record", limitBytes: 1024 },
      file: "thing.json",
      places,
      noSuch: (text) => new GantryError("not-found", `no thing ${text}`),
      ambiguous: (text) => `several things ${text}`,
    });
    act(store, dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function put(store: RecordStore<Thing>, id: string, name: string): void {
  store.makeDirectory(id);
  store.names.claim(name, id);
  store.write({ id, name });
}

const says = (code: string, message: RegExp) => (error: unknown) =>
  isGantryError(error, code as "not-found") && message.test(error.message);

test("a record is found by its id, its name or the only id that begins so, and no other", () =>
  withStore((store) => {
    put(store, a, "web");
    put(store, b, "db");
    put(store, c, "abc");
    for (const text of [a, "web", "/web", "aa"]) assert.equal(store.find(text).id, a, text);
    // a name goes before the beginning of an id
    assert.equal(store.find("abc").id, c);
    assert.throws(() => store.find("a"), says("invalid-argument", /^several things a$/));
    for (const text of ["we", "f", "d".repeat(64), "../web", ""])
      assert.throws(() => store.find(text), says("not-found", /^no thing /), text);
  }));

test("a name that another record bears, or none, finds nothing", () =>
  withStore((store) => {
    put(store, a, "web");
    store.names.claim("old", a);
    store.makeDirectory(b);
    store.names.claim("half", b);
    for (const text of ["old", "half", b])
      assert.throws(() => store.identify(text), says("not-found", /^no thing /), text);
  }));

test("a damaged record is told and left out, and still goes by its id", () =>
  withStore((store) => {
    put(store, a, "web");
    put(store, c, "bad");
    writeFileSync(join(store.directory(c), "thing.json"), "{");
    const broken: string[] = [];
    const listed = store.list((id, error) => {
      assert.ok(says("invalid-argument", /^parse thing record/)(error));
      broken.push(id);
    });
    assert.deepEqual(listed, [{ id: a, name: "web" }]);
    assert.deepEqual(broken, [c]);
    assert.deepEqual(store.identify("bad"), { id: c, name: "c".repeat(12) });
    assert.throws(() => store.find("bad"), says("invalid-argument", /^parse thing record/));
    writeFileSync(join(store.directory(c), "thing.json"), "x".repeat(2000));
    assert.throws(() => store.read(c), says("resource-exhausted", /1024/));
  }));

test("a folder without a record counts as one that is being made, and goes with all its names", () =>
  withStore((store, dir) => {
    put(store, a, "web");
    store.names.claim("more", a);
    mkdirSync(join(store.stateDirectory(a), "deep"), { recursive: true });
    store.removeRecord(a);
    store.removeRecord(a);
    assert.equal(store.read(a), undefined);
    assert.deepEqual([store.exists(a), store.ids(), store.stateIds()], [true, [a], [a]]);
    assert.deepEqual(
      store.list(() => assert.fail()),
      [],
    );
    store.releaseNames(a);
    store.removeDirectory(a);
    assert.equal(existsSync(store.stateDirectory(a)), false);
    assert.deepEqual([store.exists(a), readdirSync(join(dir, "names"))], [false, []]);
  }));

test("a folder is made once, and a store without folders is empty", () =>
  withStore((store) => {
    assert.deepEqual([store.ids(), store.stateIds(), [...store.names.list()]], [[], [], []]);
    store.makeDirectory(a);
    assert.throws(() => store.makeDirectory(a), says("already-exists", /^make directory/));
  }));
