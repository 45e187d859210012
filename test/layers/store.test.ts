/** The store after everything that can go wrong: nothing half made, nothing left, nothing lost. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { GantryError } from "../../src/base/error.ts";
import { OverlaySnapshotter } from "../../src/snapshots/overlay.ts";
import { OverlayLayers } from "../../src/snapshots/overlay-layers.ts";
import { type Digest, digestHex, digestOf } from "../../src/spec/digest.ts";
import { tarArchive, tarHeader } from "../../src/wire/tar-writer.ts";
import { needs } from "../lib/needs.ts";
import { chunksOf, directory, executor, Fixture, file, skip, symlink } from "./fixture.ts";

const id = digestOf("a layer");
const coded = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof GantryError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return true;
};

const staged = (fixture: Fixture) => readdirSync(join(fixture.directory, "store/staging"));
const layerNames = (fixture: Fixture) => readdirSync(join(fixture.directory, "store/layers"));

const some = tarArchive([directory("d"), file("d/f", "data"), file("big", Buffer.alloc(2_000_000, "x"))]);

async function rejected(
  fixture: Fixture,
  tar: AsyncIterable<Uint8Array>,
  check: (error: unknown) => boolean,
  signal?: AbortSignal,
) {
  await assert.rejects(
    fixture.layers.apply({ chainId: id, diffId: id, tar, ...(signal ? { signal } : {}) }),
    check,
  );
  assert.deepEqual(staged(fixture), []);
  assert.deepEqual(layerNames(fixture), []);
  assert.equal(await fixture.layers.has(id), false);
}

test("a tar that is cut, garbage or fails at its end leaves nothing", { skip }, async () => {
  await using fixture = new Fixture();
  await rejected(fixture, chunksOf(some.subarray(0, 1_000_000)), (error) =>
    coded("data-loss", /"big".*ends in the middle/)(error),
  );
  await rejected(fixture, chunksOf(Buffer.alloc(5000, "garbage")), (error) =>
    coded("invalid-argument", /checksum/)(error),
  );
  const wrongDigest = async function* () {
    yield some;
    throw new GantryError("data-loss", "verify uncompressed layer: the content has another digest");
  };
  await rejected(fixture, wrongDigest(), (error) => coded("data-loss", /another digest/)(error));
  await fixture.applyArchive(some, { chainId: id });
  assert.equal(await fixture.layers.has(id), true);
});

test("layer bombs of members, bytes and depth stop at their limits", { skip }, async () => {
  await using fixture = new Fixture({ limits: { entries: 100, sizeBytes: 10_000_000, depth: 20 } });
  const many = tarArchive(Array.from({ length: 101 }, (_, index) => file(`f${index}`)));
  await rejected(fixture, chunksOf(many), (error) =>
    coded("resource-exhausted", /more than 100 members/)(error),
  );
  const endless = async function* () {
    yield tarHeader({ ...file("endless"), sizeBytes: 10 ** 15 });
    for (;;) yield Buffer.alloc(1_000_000);
  };
  await rejected(fixture, endless(), (error) =>
    coded("resource-exhausted", /more than 10000000 bytes/)(error),
  );
  const deep = tarArchive([file(`${"d/".repeat(20)}f`)]);
  await rejected(fixture, chunksOf(deep), (error) => coded("resource-exhausted", /21 components/)(error));
  const implied = tarArchive(Array.from({ length: 6 }, (_, index) => file(`${`${index}/`.repeat(19)}f`)));
  await rejected(fixture, chunksOf(implied), (error) =>
    coded("resource-exhausted", /more than 100 members/)(error),
  );
  const summed = tarArchive(
    Array.from({ length: 11 }, (_, index) => file(`f${index}`, Buffer.alloc(1_000_000))),
  );
  await rejected(fixture, chunksOf(summed), (error) =>
    coded("resource-exhausted", /more than 10000000 bytes/)(error),
  );
});

test("directories made for the targets of symlinks have a limit, too", {
  skip,
  timeout: 120_000,
}, async () => {
  await using fixture = new Fixture();
  const members = Array.from({ length: 4 }, (_, index) => [
    symlink(`l${index}`, `t${index}/${"d/".repeat(1900)}`),
    file(`l${index}/f`),
  ]);
  await rejected(fixture, chunksOf(tarArchive(members.flat())), (error) =>
    coded("resource-exhausted", /too many links/)(error),
  );
});

test("an abort stops at once, passes its reason on and leaves nothing", { skip }, async () => {
  await using fixture = new Fixture();
  const controller = new AbortController();
  const reason = new Error("no longer wanted");
  const slow = async function* () {
    for (let at = 0; at < some.length; at += 100_000) {
      if (at > 1_000_000) controller.abort(reason);
      yield some.subarray(at, at + 100_000);
    }
  };
  await rejected(fixture, slow(), (error) => error === reason, controller.signal);
  await rejected(fixture, chunksOf(some), (error) => error === reason, controller.signal);
});

/** Pid of the executor that a process has started. */
async function executorOf(parent: number): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const isOurs = Number(fields[1]) === parent;
        if (isOurs && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("layers")) return Number(pid);
      } catch {
        // it ended meanwhile
      }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("no executor runs");
}

test("an executor that dies is a clear error and leaves nothing", { skip }, async () => {
  await using fixture = new Fixture();
  const killed = async function* () {
    yield some.subarray(0, 500_000);
    process.kill(await executorOf(process.pid), "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (let at = 500_000; at < some.length; at += 10_000) yield some.subarray(at, at + 10_000);
  };
  await rejected(fixture, killed(), (error) => coded("unavailable", /executor/)(error));
});

test("a full disk and a read-only disk are clear errors and leave nothing", {
  skip: skip || needs("mount"),
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), "gantry-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1500k", "tmpfs", directory]);
  try {
    const fixture = new Fixture({}, directory);
    await rejected(fixture, chunksOf(some), (error) =>
      coded("resource-exhausted", /"big": no space left on device/)(error),
    );
    await fixture.apply([file("small", "fits")], { chainId: id });
    execFileSync("mount", ["-o", "remount,ro", directory]);
    await assert.rejects(
      fixture.apply([file("x")], { chainId: digestOf("x") }),
      coded("failed-precondition", /read-only file system/),
    );
    await assert.rejects(
      fixture.snapshotter.prepare("c", { parent: id }),
      coded("failed-precondition", /read-only file system/),
    );
    assert.equal(await fixture.layers.has(id), true);
  } finally {
    execFileSync("umount", [directory]);
    rmSync(directory, { recursive: true });
  }
});

test("layers of one image unpack side by side, the same one several times, in any order", {
  skip,
}, async () => {
  await using fixture = new Fixture();
  const ids = Array.from({ length: 4 }, (_, index) => digestOf(`layer ${index}`));
  const applies = [...ids.entries(), ...ids.entries()].reverse().map(async ([index, chainId]) => {
    const parent = ids[index - 1];
    await fixture.apply([file(`f${index}`, `${index}`), file("shared", `${index}`)], {
      chainId,
      ...(parent ? { parent } : {}),
    });
  });
  await Promise.all(applies);
  assert.deepEqual(staged(fixture), []);
  assert.equal((await fixture.snapshotter.listLayers()).length, 4);
  assert.deepEqual(await fixture.layers.list(), [...ids].reverse(), "children first");
  const { lower } = await fixture.snapshotter.prepare("c", { parent: ids[3]! });
  assert.equal(lower.length, 4);
  for (const chainId of await fixture.layers.list()) {
    assert.equal(
      await fixture.layers.remove(chainId, { unless: async () => false }),
      false,
      "the snapshot holds all",
    );
  }
  await fixture.snapshotter.remove("c");
  for (const chainId of await fixture.layers.list())
    assert.equal(await fixture.layers.remove(chainId, { unless: async () => false }), true);
  assert.deepEqual(layerNames(fixture), []);
});

test("a layer counts in another boot only when it was settled", { skip }, async () => {
  await using fixture = new Fixture({ bootId: "first-boot" });
  const settled = digestOf("settled");
  await fixture.applyArchive(some, { chainId: settled });
  await fixture.layers.settle();
  await fixture.applyArchive(some, { chainId: id });
  await fixture.snapshotter.prepare("c", { parent: settled });
  assert.ok(existsSync(join(fixture.directory, "store/layers", digestHex(settled), "synced")));
  assert.equal(await fixture.layers.has(id), true);

  const next = new Fixture({ bootId: "second-boot" }, fixture.directory);
  assert.equal(await next.layers.has(settled), true);
  assert.equal(await next.layers.has(id), false);
  await assert.rejects(next.snapshotter.prepare("d", { parent: id }), coded("not-found", /not unpacked/));
  assert.equal((await next.snapshotter.mounts("c")).lower.length, 1);
  await next.applyArchive(some, { chainId: id });
  assert.equal(await next.layers.has(id), true, "unpacked again in place of the doubtful one");
  const third = new Fixture({ bootId: "third-boot" }, fixture.directory);
  await third.layers.sweep();
  assert.deepEqual(layerNames(third), [digestHex(settled)]);
});

test("a layer that was unpacked again shows the attributes of those below to a snapshot made before", {
  skip,
}, async () => {
  await using fixture = new Fixture({ bootId: "first-boot" });
  await fixture.apply([directory("tmp", { mode: 0o1777 })], { chainId: id });
  await fixture.layers.settle();
  const top = digestOf("top");
  const implied = [file("tmp/note", "a")];
  const root = await fixture.apply(implied, { chainId: top, parent: id });
  await fixture.snapshotter.prepare("c", { parent: top });

  const next = new Fixture({ bootId: "second-boot" }, fixture.directory);
  await next.apply(implied, { chainId: top, parent: id });
  assert.equal(statSync(join(root, "tmp")).mode & 0o7777, 0o755);
  await next.snapshotter.mounts("c");
  assert.equal(statSync(join(root, "tmp")).mode & 0o7777, 0o1777);
});

test("records that a power cut emptied count as nothing", { skip }, async () => {
  await using fixture = new Fixture();
  await fixture.applyArchive(some, { chainId: id });
  await fixture.snapshotter.prepare("torn", { parent: id });
  await fixture.snapshotter.prepare("whole", { parent: id });
  writeFileSync(join(fixture.directory, "store/active/torn/snapshot.json"), "");
  const other = digestOf("other");
  await fixture.applyArchive(some, { chainId: other });
  writeFileSync(join(fixture.directory, "store/layers", digestHex(other), "layer.json"), "");
  assert.equal(await fixture.layers.has(other), false);
  assert.deepEqual(
    (await fixture.snapshotter.list()).map(({ key }) => key),
    ["whole"],
  );
  await fixture.layers.sweep();
  assert.deepEqual(readdirSync(join(fixture.directory, "store/active")), ["whole"]);
  assert.deepEqual(layerNames(fixture), [digestHex(id)]);
});

test("a disposed applier leaves the settling to an executor that outlives it", { skip }, async () => {
  await using fixture = new Fixture();
  await fixture.applyArchive(some, { chainId: id });
  await fixture.layers[Symbol.asyncDispose]();
  const mark = join(fixture.directory, "store/layers", digestHex(id), "synced");
  for (let tries = 0; tries < 600 && !existsSync(mark); tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(existsSync(mark));
});

const program = fileURLToPath(new URL("store-process.ts", import.meta.url));

/** A second process on the same store; see store-process.ts. */
function other(
  fixture: Fixture,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  wrap: readonly string[] = [],
) {
  const [command, ...rest] = [
    ...wrap,
    process.execPath,
    program,
    join(fixture.directory, "store"),
    executor,
    ...args,
  ];
  const child = spawn(command!, rest, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = new Promise<{ code: number | null; signal: string | null; output: string }>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, output }));
  });
  return { child, ended, output: () => output };
}

for (const [point, verb] of [
  ["layer-staged", "apply"],
  ["snapshot-staged", "prepare"],
  ["layer-hidden", "remove-layer"],
] as const)
  test(`a process killed at ${point} leaves nothing that the next does not clear`, { skip }, async () => {
    await using fixture = new Fixture();
    await fixture.applyArchive(some, { chainId: id });
    const { signal } = await other(fixture, [verb, id], { GANTRY_FAULT: point }).ended;
    assert.equal(signal, "SIGKILL");
    assert.equal(staged(fixture).length, 1, "it died half-way");
    await fixture.layers.sweep();
    assert.deepEqual(staged(fixture), []);
    assert.deepEqual(
      layerNames(fixture),
      [digestHex(id)],
      "the layer is there, put back where it was hidden",
    );
    assert.deepEqual(await fixture.snapshotter.list(), []);
    assert.equal(await fixture.layers.has(id), true);
  });

test("a process killed while it unpacks leaves nothing that the next does not clear", { skip }, async () => {
  await using fixture = new Fixture();
  await fixture.layers.sweep();
  const killed = other(fixture, ["apply-endless", digestOf("endless")]);
  while (!killed.output().includes("unpacking")) await new Promise((resolve) => setTimeout(resolve, 10));
  await fixture.layers.sweep();
  assert.equal(staged(fixture).length, 1, "what a living process makes is not touched");
  killed.child.kill("SIGKILL");
  await killed.ended;
  // the executor ends when its controller's end of the socket is gone
  for (let tries = 0; tries < 100 && staged(fixture).length > 0; tries++) {
    await fixture.layers.sweep();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(staged(fixture), []);
  assert.deepEqual(layerNames(fixture), []);
});

test("two processes apply and prepare at once on one store", { skip }, async () => {
  await using fixture = new Fixture();
  const processes = Array.from({ length: 3 }, () => other(fixture, ["race", id]));
  const results = await Promise.all(processes.map(({ ended }) => ended));
  for (const { code, output } of results) assert.equal(code, 0, output);
  const winners = results.map(({ output }) => Number(/prepared (\d+)/.exec(output)?.[1]));
  assert.equal(
    winners.reduce((sum, count) => sum + count, 0),
    20,
    "every key has one winner",
  );
  assert.equal((await fixture.snapshotter.list()).length, 20);
  assert.equal((await fixture.snapshotter.listLayers()).length, 1);
  assert.deepEqual(staged(fixture), []);
});

test("trees deeper than any path and with names that are no text are removed", {
  skip: skip || needs("perl"),
}, async () => {
  await using fixture = new Fixture();
  const { upper } = await fixture.snapshotter.prepare("c");
  execFileSync("perl", [
    "-e",
    `chdir $ARGV[0]; for (1..3000) { mkdir "dddd" or die; chdir "dddd" or die } open F, ">", "end"`,
    upper!,
  ]);
  execFileSync("sh", [
    "-c",
    `cd "$1"; for i in $(seq 200); do : > "$(printf 'n\\351%s' $i)"; done; mkdir work; chmod 0 work`,
    "sh",
    upper!,
  ]);
  await fixture.snapshotter.remove("c");
  assert.deepEqual(staged(fixture), []);
  assert.deepEqual(readdirSync(join(fixture.directory, "store/active")), []);
});

test("a mark that comes while its directory is removed does not stop the removal", { skip }, async () => {
  await using fixture = new Fixture();
  for (let round = 0; round < 12; round++) {
    const { upper } = await fixture.snapshotter.prepare("c");
    execFileSync("sh", ["-c", 'cd "$1"; for i in $(seq 1500); do : > $i; done', "sh", upper!]);
    // as the settling of layers does: through a directory that was opened before it was set aside
    const writer = spawn("sh", ["-c", `cd "$1" && sleep 0.0${round} && : > synced`, "sh", upper!]);
    const gone = new Promise((resolve) => writer.once("exit", resolve));
    await fixture.snapshotter.remove("c");
    await gone;
    assert.deepEqual(staged(fixture), []);
  }
});

test("the store is closed to everybody else (CVE-2021-41103)", { skip }, async () => {
  await using fixture = new Fixture();
  await fixture.snapshotter.prepare("c");
  for (const folder of ["", "layers", "active", "staging", "active/c"])
    assert.equal(statSync(join(fixture.directory, "store", folder)).mode & 0o777, 0o700, folder);
});

test("without root's powers owners and devices are passed over, deletions still work", {
  skip: skip || needs("setpriv"),
}, async () => {
  await using fixture = new Fixture();
  const wrap = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "unshare",
    "--user",
    "--map-root-user",
  ];
  mkdirSync(join(fixture.directory, "store"));
  chmodSync(fixture.directory, 0o755);
  execFileSync("chown", ["65534:65534", join(fixture.directory, "store")]);
  const { code, output } = await other(fixture, ["unprivileged", id], {}, wrap).ended;
  assert.equal(code, 0, output);
  const root = fixture.root(id);
  assert.equal(readFileSync(join(root, "owned"), "utf8"), "data");
  assert.equal(statSync(join(root, "owned")).uid, 65534);
  assert.equal(existsSync(join(root, "null")), false);
  assert.ok(statSync(join(root, "deleted")).isCharacterDevice());
  const attributes = execFileSync("getfattr", [
    "-hd",
    "-m",
    "-",
    "--absolute-names",
    join(root, "opaque"),
  ]).toString();
  assert.match(attributes, /user\.overlay\.opaque="y"/);
});

test("who commits a snapshot finds it again as a layer", { skip }, async () => {
  await using fixture = new Fixture();
  await fixture.applyArchive(some, { chainId: id });
  const { upper } = await fixture.snapshotter.prepare("build", { parent: id });
  writeFileSync(join(upper!, "made"), "by a container");
  const made = digestOf("made") as Digest;
  await fixture.snapshotter.commit("build", made);
  const second = new OverlaySnapshotter(fixture.options);
  assert.equal((await second.statLayer(made)).parentChainId, id);
  assert.equal(await new OverlayLayers(fixture.options).has(made), true);
  assert.equal(readFileSync(join(fixture.root(made), "made"), "utf8"), "by a container");
  assert.deepEqual(readdirSync(join(fixture.root(made), "..")).sort(), ["fs", "layer.json"]);
});
