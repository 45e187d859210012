/** Real archives: what lies on the disk equals what GNU tar makes of them, and overlay shows the right root. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { digestOf } from "../../src/spec/digest.ts";
import { byteStringOf } from "../../src/wire/tar-format.ts";
import { tarArchive } from "../../src/wire/tar-writer.ts";
import { needs } from "../lib/needs.ts";
import {
  describeTree,
  device,
  directory,
  Fixture,
  file,
  inOverlay,
  link,
  type Member,
  skip,
  symlink,
} from "./fixture.ts";

const sh = (script: string, ...args: string[]) =>
  execFileSync("sh", ["-ec", script, "sh", ...args], { maxBuffer: 1 << 30 });

/** Unpacks with both and compares every attribute, the time of unpacking left out. */
async function sameAsTar(archive: Buffer): Promise<string> {
  await using fixture = new Fixture({}, mkdtempSync(join(tmpdir(), "gantry-unpack-")));
  const reference = join(fixture.directory, "reference");
  mkdirSync(reference);
  execFileSync("tar", ["-C", reference, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", "-"], {
    input: archive,
  });
  const root = await fixture.applyArchive(archive);
  const found = describeTree(root);
  assert.equal(found, describeTree(reference));
  return found;
}

test("programs of Debian packages unpack as with GNU tar", { skip, timeout: 60_000 }, async () => {
  const archive =
    sh(`dpkg -L base-files coreutils bash util-linux login passwd tzdata 2>/dev/null | grep -E '^/(usr|etc)(/|$)' | sort -u |
    while read -r path; do if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\\0' "$path"; fi; done |
    tar --null --no-recursion --sort=none -T - -P --transform 's,^/\\.\\?,./,' --format=gnu -cf -`);
  const described = await sameAsTar(archive);
  assert.ok(described.split("\n").length > 2000);
  assert.match(described, /usr\/bin\/passwd f 4755/);
  assert.match(described, / l 777 /);
});

test("owners, special bits, times, attributes, holes and links unpack as with GNU tar", {
  skip: skip || needs("setfattr", "setcap"),
  timeout: 60_000,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-source-"));
  try {
    sh(
      `cd "$1"; mkdir -p t/a/b "t/name with
newline" t/sticky t/ro; cp /bin/true t/cap; setcap cap_net_raw+ep t/cap; echo x > t/a/f; chown 1000:2000 t/a/f; chmod 4751 t/a/f
      setfattr -n user.test -v value t/a/f; setfattr -n trusted.dir -v "" t/a/b; chmod 1777 t/sticky; chown 7:7 t/sticky
      ln t/a/f t/hard; ln -s ../nowhere t/soft; chown -h 5:6 t/soft; mkfifo t/fifo; mknod t/null c 1 3; mknod t/loop b 7 200
      truncate -s 50M t/sparse; printf middle | dd of=t/sparse bs=1 seek=30000000 conv=notrunc status=none
      head -c 3000000 /dev/urandom > t/big; : > t/empty; printf 'caf\\351' > "$(printf 't/caf\\351')"
      touch -d @-5.5 t/empty; touch -d '2038-02-01 00:00:00.123456789' t/big; touch -hd @1.000000001 t/soft
      touch -d @7 t/a/b t/sticky t/ro; chmod 0500 t/ro; touch -d @8.25 t/a t`,
      dir,
    );
    for (const format of ["posix", "gnu"]) {
      const attributes = format === "posix" ? ["--xattrs", "--xattrs-include=*"] : [];
      const archive = execFileSync(
        "tar",
        [`--format=${format}`, "-S", ...attributes, "--sort=name", "-C", dir, "-cf", "-", "t"],
        {
          maxBuffer: 1 << 28,
        },
      );
      const described = await sameAsTar(archive);
      if (format === "posix") assert.match(described, /security\.capability/);
      assert.match(described, /t\/sparse f 644 0:0 52428800 /);
      assert.match(described, /t\/loop b 644 /);
    }
    await using fixture = new Fixture({}, join(dir, "fixture"));
    mkdirSync(fixture.directory);
    const root = await fixture.applyArchive(execFileSync("tar", ["-S", "-C", dir, "-cf", "-", "t/sparse"]));
    assert.ok(statSync(join(root, "t/sparse")).blocks < 1000, "holes stay holes");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("chunks of any size give the same layer", { skip, timeout: 60_000 }, async () => {
  const archive = tarArchive([
    directory("d"),
    file("d/one", "1".repeat(5000)),
    file("d/two", Buffer.alloc(3_000_000, "ab")),
    ...Array.from({ length: 500 }, (_, index) => file(`d/s${index}`, `${index}`.repeat(100))),
  ]);
  const results = new Set<string>();
  for (const chunkBytes of [1 << 24, 1 << 20, 70_000, 512, 333]) {
    await using fixture = new Fixture();
    const id = digestOf(archive);
    const chunks = async function* () {
      for (let at = 0; at < archive.length; at += chunkBytes) yield archive.subarray(at, at + chunkBytes);
    };
    await fixture.layers.apply({ chainId: id, diffId: id, tar: chunks() });
    results.add(describeTree(fixture.root(id)));
  }
  assert.equal(results.size, 1);
});

test("data larger than the spool, with nothing but rubbish after the archive, passes through", {
  skip,
}, async () => {
  await using fixture = new Fixture();
  const archive = Buffer.concat([
    tarArchive([file("f", Buffer.alloc(20_000_000, "x"))]),
    Buffer.alloc(30_000_000, "z"),
  ]);
  const root = await fixture.applyArchive(archive);
  assert.equal(statSync(join(root, "f")).size, 20_000_000);
});

interface Stack {
  readonly fixture: Fixture;
  readonly lower: readonly string[];
  read(path: string): Promise<string | undefined>;
}

/** Layers on each other, lowest first, and a snapshot "c" on them. */
async function stack(...layers: readonly (readonly Member[])[]): Promise<Stack & AsyncDisposable> {
  const fixture = new Fixture();
  const ids = layers.map((_, index) => digestOf(`layer ${index}`));
  // from the top down: a layer may be unpacked before those below it
  for (const [index, members] of [...layers.entries()].reverse()) {
    const parent = ids[index - 1];
    await fixture.apply(members, { chainId: ids[index]!, ...(parent ? { parent } : {}) });
  }
  const { lower } = await fixture.snapshotter.prepare("c", { parent: ids.at(-1)! });
  return {
    fixture,
    lower,
    read: async (path) => {
      const bytes = await fixture.snapshotter.readFile("c", path);
      return bytes && Buffer.from(bytes).toString();
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

const listing = (lower: readonly string[]) =>
  inOverlay(lower, "find . -mindepth 1 | sort")
    .trim()
    .split("\n")
    .map((line) => line.slice(2))
    .join(" ");

test("whiteouts and opaque directories hide what lies below", { skip }, async () => {
  await using root = await stack(
    [
      directory("a"),
      file("a/1", "1"),
      file("a/2", "2"),
      file("b/1", "b"),
      file("c", "c"),
      file("d/e/f", "deep"),
    ],
    [
      file("a/.wh.1"),
      file("a/3", "3"),
      file("b/.wh..wh..opq"),
      file("b/2", "new"),
      file(".wh.c"),
      file("d/.wh.e"),
      file(".wh.never"),
    ],
  );
  assert.equal(listing(root.lower), "a a/2 a/3 b b/2 d");
  assert.equal(await root.read("a/1"), undefined);
  assert.equal(await root.read("a/2"), "2");
  assert.equal(await root.read("b/1"), undefined);
  assert.equal(await root.read("b/2"), "new");
  assert.equal(await root.read("c"), undefined);
  assert.equal(await root.read("d/e/f"), undefined);
});

test("a directory that a layer deletes and makes again has only what the layer brings, in any order", {
  skip,
}, async () => {
  const below = [file("d/old", "old"), file("e/old", "old"), file("f/old", "old"), file("g/old", "old")];
  const above = [
    [file(".wh.d"), directory("d"), file("d/new", "1")],
    [directory("e"), file("e/new", "2"), file(".wh.e")],
    [file("f/new", "3"), file(".wh.f")],
    [file(".wh.g"), file("g/new", "4")],
  ];
  await using root = await stack(below, above.flat());
  assert.equal(listing(root.lower), "d d/new e e/new f f/new g g/new");
  for (const name of ["d", "e", "f", "g"]) assert.equal(await root.read(`${name}/old`), undefined, name);
  assert.equal(await root.read("g/new"), "4");
});

test("an opaque root hides all layers below", { skip }, async () => {
  await using root = await stack(
    [file("old", "1")],
    [file(".wh..wh..opq"), file("new", "2")],
    [file("newer", "3")],
  );
  assert.equal(root.lower.length, 2);
  assert.equal(listing(root.lower), "new newer");
  assert.equal(await root.read("old"), undefined);
  assert.equal(await root.read("new"), "2");
});

test("a file over a directory and a directory over a file", { skip }, async () => {
  await using root = await stack(
    [file("x/in", "1"), file("y", "2"), symlink("z", "y")],
    [file("x", "now a file"), file("y/in", "now a directory"), directory("z"), file("z/in", "3")],
  );
  assert.equal(listing(root.lower), "x y y/in z z/in");
  assert.equal(await root.read("x"), "now a file");
  assert.equal(await root.read("x/in"), undefined);
  assert.equal(await root.read("y/in"), "now a directory");
  assert.equal(await root.read("z/in"), "3");
});

test("directories without a member of their own keep what lower layers say of them", { skip }, async () => {
  await using root = await stack(
    [
      directory("./", { mode: 0o711, uid: 3 }),
      directory("tmp", { mode: 0o1777, mtimeSeconds: 1000 }),
      directory("home", { mode: 0o750, uid: 1000, gid: 1000, xattrs: { "trusted.kept": "1" } }),
      directory("gone", { mode: 0o700 }),
      file("was-file"),
    ],
    [
      file("tmp/x", "x"),
      file("home/user/f", "f"),
      file(".wh.gone"),
      file("gone/new", "n"),
      file("was-file/now", "1"),
    ],
    [file("tmp/y", "y"), directory("home/user", { mode: 0o700, uid: 1000 }), file("home/user/g", "g")],
  );
  const seen = inOverlay(
    root.lower,
    "stat -c '%n %a %u:%g %Y' tmp home home/user gone was-file; getfattr -hd -m trusted.kept home || :",
  );
  assert.match(seen, /^tmp 1777 0:0 1000$/m);
  assert.match(seen, /^home 750 1000:1000 /m);
  assert.match(seen, /^home\/user 700 1000:0 /m);
  assert.match(seen, /^gone 755 0:0 /m);
  assert.match(seen, /^was-file 755 0:0 /m);
  const { upper } = await root.fixture.snapshotter.mounts("c");
  assert.deepEqual([statSync(upper!).mode & 0o7777, statSync(upper!).uid], [0o711, 3]);
});

/** What a process in the root finds: the root has no program, so the host's perl enters it. */
const readInChroot = (path: string) =>
  `perl -e 'chroot $ARGV[0] or die; chdir "/"; open F, "<", $ARGV[1] or print("nothing"), exit; print <F>' "$M" '/${path}'`;

test("a file is read from the layers as a process in the root would read it", {
  skip: skip || needs("perl"),
}, async () => {
  await using root = await stack(
    [
      file("usr/etc/passwd", "root"),
      symlink("etc", "usr/etc"),
      symlink("abs", "/etc/passwd"),
      symlink("up", "../../../../../etc/passwd"),
      symlink("loop", "loop"),
      file("deep/a/b/c", "c"),
      symlink("deep/a/link", "../a/b/./c"),
      device("dev", 1, 3),
      file(byteStringOf("café"), "utf8"),
    ],
    [symlink("deep/over", "a/b"), directory("deep/a"), file("hidden/x", "1")],
    [file(".wh.hidden"), link("again", "hard"), file("hard", "h")].reverse(),
  );
  const expected: Record<string, string | undefined> = {
    "/etc/passwd": "root",
    abs: "root",
    up: "root",
    "deep/over/c": "c",
    "deep/a/link": "c",
    "deep/over/../link": "c",
    café: "utf8",
    again: "h",
    "hidden/x": undefined,
    "etc/passwd/below": undefined,
    "etc/passwd/": undefined,
  };
  for (const [path, text] of Object.entries(expected)) {
    assert.equal(await root.read(path), text, path);
    assert.equal(inOverlay(root.lower, readInChroot(path)), text ?? "nothing", path);
  }
  await assert.rejects(root.read("loop"), /too many symbolic links/);
  await assert.rejects(root.read("dev"), /not a regular file/);
  await assert.rejects(root.read("deep"), /is a directory/);
  const { upper } = await root.fixture.snapshotter.mounts("c");
  sh(`cd "$1"; mkdir etc2 usr; ln -s /etc2 usr/etc; echo upper > etc2/passwd`, upper!);
  assert.equal(await root.read("etc/passwd"), "upper\n");
  sh(`cd "$1"; rm usr/etc; ln -s /proc/self/root/etc usr/etc`, upper!);
  assert.equal(await root.read("etc/passwd"), undefined, "proc is not mounted in what is read");
  assert.ok(existsSync("/etc/passwd") && readFileSync("/etc/passwd").length > 0);
});
