/** Archives that try to reach out of the layer's directory. After each, nothing outside has changed. */
import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { GantryError } from "../../src/base/error.ts";
import type { ByteString } from "../../src/wire/tar-format.ts";
import { tarArchive } from "../../src/wire/tar-writer.ts";
import { needs } from "../lib/needs.ts";
import {
  describeTree,
  device,
  directory,
  Fixture,
  fifo,
  file,
  link,
  type Member,
  put,
  skip,
  symlink,
} from "./fixture.ts";

interface Outcome {
  /** Code and message of the failure, or undefined. */
  readonly error: GantryError | undefined;
  /** The layer's root; gone if there was an error. */
  readonly root: string;
}

/**
 * Unpacks beside things that must not be touched: a secret, a set of files above the store, and the
 * test's own `/tmp` path, to which absolute names lead.
 */
async function attack(
  members: readonly Member[] | Uint8Array | ((outside: string) => readonly Member[]),
  check: (outcome: Outcome, outside: string) => void | Promise<void>,
): Promise<void> {
  await using fixture = new Fixture();
  const outside = join(fixture.directory, "outside");
  put(join(outside, "secret"), "secret");
  put(join(outside, "dir/file"), "untouched");
  symlinkSync("dir", join(outside, "link"));
  await fixture.snapshotter.prepare("bystander");
  const before = describeTree(outside);
  const list = typeof members === "function" ? members(outside) : members;
  const archive = list instanceof Uint8Array ? list : tarArchive(list);
  let error: GantryError | undefined;
  let root = "";
  try {
    root = await fixture.applyArchive(archive);
  } catch (caught) {
    assert.ok(caught instanceof GantryError, String(caught));
    error = caught;
    assert.deepEqual(await fixture.snapshotter.listLayers(), []);
    assert.deepEqual(readdirSync(join(fixture.directory, "store/layers")), []);
  }
  await check({ error, root }, outside);
  assert.equal(describeTree(outside), before);
  assert.deepEqual(readdirSync(join(fixture.directory, "store/staging")), []);
  assert.deepEqual(readdirSync(fixture.directory).sort(), ["outside", "store"]);
  assert.deepEqual(readdirSync(join(fixture.directory, "store")).sort(), [
    "active",
    "empty",
    "layers",
    "staging",
  ]);
  if (!error) assert.deepEqual(readdirSync(join(root, "..")).sort(), ["fs", "layer.json"]);
  assert.deepEqual(
    (await fixture.snapshotter.list()).map(({ key }) => key),
    ["bystander"],
  );
  const extra = readFileSync("/proc/self/mountinfo", "utf8").includes(fixture.directory);
  assert.equal(extra, false, "nothing is mounted");
}

const text = (root: string, path: string) => readFileSync(join(root, path), "utf8");

test("names with .. that leave the root are refused", { skip }, async () => {
  for (const name of ["../evil", "a/../../evil", "/../../evil", "./../evil", "..", "a/b/../../../evil"])
    await attack([file("a/b/ok"), file(name, "evil")], ({ error }) => {
      assert.equal(error?.code, "invalid-argument", name);
      assert.match(error.message, /leaves the root/);
    });
});

test("names with .. that stay inside, absolute and odd names land in the root", { skip }, async () => {
  await attack(
    (outside) => [
      file("a/../b/./c//d", "1"),
      file("/abs/file", "2"),
      file("//double", "3"),
      file(`${outside}/secret`, "4"),
      directory("./"),
      file("dots../...", "5"),
    ],
    ({ error, root }, outside) => {
      assert.equal(error, undefined);
      assert.equal(text(root, "b/c/d"), "1");
      assert.equal(text(root, "abs/file"), "2");
      assert.equal(text(root, "double"), "3");
      assert.equal(text(root, `${outside.slice(1)}/secret`), "4");
      assert.equal(text(root, "dots../..."), "5");
    },
  );
});

test("a file through a symlink to an absolute host path lands in the root", { skip }, async () => {
  await attack(
    (outside) => [
      symlink("out", outside),
      file("out/secret", "evil"),
      file("out/dir/file", "evil"),
      directory("out/dir2"),
      symlink("out/l", "x"),
      fifo("out/pipe"),
    ],
    ({ error, root }, outside) => {
      assert.equal(error, undefined);
      assert.equal(readlinkSync(join(root, "out")), outside);
      assert.equal(text(root, `${outside.slice(1)}/secret`), "evil");
      assert.equal(text(root, `${outside.slice(1)}/dir/file`), "evil");
      assert.ok(lstatSync(join(root, outside.slice(1), "pipe")).isFIFO());
    },
  );
});

test("a chain of symlinks with .. stays in the root", { skip }, async () => {
  const up = "../".repeat(40);
  await attack(
    (outside) => [
      directory("a"),
      symlink("a/up", up),
      symlink("a/out", `up/${outside}`),
      file("a/out/secret", "evil"),
      symlink("b", `${up}${outside}/link`),
      file("b/file", "evil"),
      file("a/up/etc/passwd", "evil"),
    ],
    ({ error, root }, outside) => {
      assert.equal(error, undefined);
      assert.equal(text(root, `${outside.slice(1)}/secret`), "evil");
      assert.equal(text(root, "etc/passwd"), "evil");
    },
  );
});

test("a file over a symlink replaces the link, not what it points to", { skip }, async () => {
  await attack(
    (outside) => [
      symlink("f", `${outside}/secret`),
      file("f", "mine"),
      symlink("d", `${outside}/dir`),
      directory("d", { mode: 0o700 }),
      file("d/file", "mine"),
      symlink("n", `${outside}/secret`),
      device("n", 1, 3),
    ],
    ({ error, root }) => {
      assert.equal(error, undefined);
      assert.ok(lstatSync(join(root, "f")).isFile());
      assert.equal(text(root, "f"), "mine");
      assert.ok(lstatSync(join(root, "d")).isDirectory());
      assert.equal(text(root, "d/file"), "mine");
      assert.ok(lstatSync(join(root, "n")).isCharacterDevice());
    },
  );
});

test("owner, mode, time and xattrs of a symlink do not reach its target (CVE-2021-32760)", {
  skip,
}, async () => {
  await attack(
    (outside) => [
      symlink("l", `${outside}/secret`, {
        mode: 0o4777,
        uid: 1234,
        gid: 1234,
        mtimeSeconds: 1,
        xattrs: { "user.evil": "1", "trusted.evil": "1" },
      }),
      link("hard", "l"),
      symlink("dl", `${outside}/dir`),
      directory("dl2", { mode: 0o4777, uid: 1234 }),
      symlink("dl2", `${outside}/dir`),
    ],
    ({ error, root }) => {
      // user.* attributes cannot be on symlinks: refused by the kernel, and so by us
      if (error) return assert.match(error.message, /user\.evil/);
      assert.equal(lstatSync(join(root, "l")).uid, 1234);
    },
  );
  await attack(
    (outside) => [
      directory("d", { mode: 0o4777, uid: 1234, gid: 7, mtimeSeconds: 5 }),
      symlink("d", `${outside}/dir`, { uid: 9, xattrs: { "trusted.ok": "1" } }),
      link("hard", "d"),
    ],
    ({ error, root }) => {
      assert.equal(error, undefined);
      assert.ok(
        lstatSync(join(root, "d")).isSymbolicLink(),
        "attributes held back do not bring the directory back",
      );
      assert.ok(lstatSync(join(root, "hard")).isSymbolicLink());
    },
  );
});

test("hard links find their target in the root only", { skip }, async () => {
  await attack(
    (outside) => [link("stolen", `${outside}/secret`)],
    ({ error }) => {
      assert.equal(error?.code, "invalid-argument");
      assert.match(error.message, /stolen to .*secret.*no such file/);
    },
  );
  await attack([link("stolen", "../../../../outside/secret")], ({ error }) => {
    assert.equal(error?.code, "invalid-argument");
    assert.match(error.message, /leaves the root/);
  });
  await attack(
    (outside) => [symlink("out", outside), link("stolen", "out/secret")],
    ({ error }) => {
      assert.equal(error?.code, "invalid-argument");
      assert.match(error.message, /no such file/);
    },
  );
  await attack(
    (outside) => [symlink("s", `${outside}/secret`), link("copy", "s"), file("copy", "mine")],
    ({ error, root }) => {
      assert.equal(error, undefined);
      assert.equal(text(root, "copy"), "mine");
      assert.ok(lstatSync(join(root, "s")).isSymbolicLink());
    },
  );
  for (const target of [".", "/", "a/..", "d"])
    await attack([directory("d"), link("x", target)], ({ error }) => {
      assert.ok(error && ["invalid-argument", "permission-denied"].includes(error.code), target);
    });
});

test("a hard link to itself keeps the file", { skip }, async () => {
  await attack(
    [file("f", "data"), link("f", "f"), link("./f", "/f"), link("g", "f"), link("g", "f")],
    ({ error, root }) => {
      assert.equal(error, undefined);
      assert.equal(text(root, "f"), "data");
      assert.equal(statSync(join(root, "f")).nlink, 2);
    },
  );
});

test("whiteouts name one file of the layer below and nothing else", { skip }, async () => {
  for (const name of [".wh...", "a/.wh...", ".wh..", "a/.wh.."])
    await attack([file("a/x"), file(name)], ({ error }) => {
      assert.equal(error?.code, "invalid-argument", name);
      assert.match(error.message, /names no file/);
    });
  await attack([file(".wh."), file("a")], ({ error }) => assert.equal(error?.code, "invalid-argument"));
  await attack(
    (outside) => [
      symlink("out", outside),
      file("out/.wh.secret"),
      file("out/dir/.wh..wh..opq"),
      file(".wh.gone"),
    ],
    ({ error, root }, outside) => {
      assert.equal(error, undefined);
      const hidden = lstatSync(join(root, outside.slice(1), "secret"));
      assert.ok(hidden.isCharacterDevice() && hidden.rdev === 0);
      assert.ok(lstatSync(join(root, "gone")).isCharacterDevice());
    },
  );
});

test("setuid, setgid and sticky bits survive owner and content", { skip }, async () => {
  await attack(
    [
      file("su", "program".repeat(50_000), { mode: 0o6755, uid: 1000, gid: 1000 }),
      file("small", "x", { mode: 0o4711, uid: 5 }),
      directory("sticky", { mode: 0o3777, uid: 7, gid: 8 }),
      file("sticky/in", "x", { gid: 0 }),
      directory("sticky/sub", { mode: 0o755 }),
    ],
    ({ error, root }) => {
      assert.equal(error, undefined);
      const mode = (path: string) => statSync(join(root, path)).mode & 0o7777;
      assert.equal(mode("su"), 0o6755);
      assert.equal(mode("small"), 0o4711);
      assert.equal(mode("sticky"), 0o3777);
      assert.equal(mode("sticky/sub"), 0o755, "no setgid from above");
      assert.equal(statSync(join(root, "sticky/in")).gid, 0);
    },
  );
});

test("a directory becomes a symlink and back, with everything under it gone", { skip }, async () => {
  await attack(
    (outside) => [
      file("d/deep/file", "1"),
      symlink("d", outside),
      file("d/secret", "evil"),
      directory("d"),
      file("d/file", "2"),
      file("d/file/below", "3"),
      file("d", "4"),
      file("d/again", "5"),
    ],
    ({ error, root }, outside) => {
      assert.equal(error, undefined);
      assert.equal(text(root, "d/again"), "5");
      assert.equal(existsSync(join(root, "d/deep")), false);
      assert.equal(text(root, `${outside.slice(1)}/secret`), "evil");
    },
  );
});

test("attributes held back do not bring deleted directories back", { skip }, async () => {
  await attack(
    [
      directory("d"),
      directory("d/deep", { mode: 0o700 }),
      directory("d/deep/er", { mode: 0o700 }),
      file("d", "now a file"),
      directory("e/deep/er", { uid: 5 }),
      file("e", "gone"),
      directory("e"),
    ],
    ({ error, root }) => {
      assert.equal(error, undefined);
      assert.equal(text(root, "d"), "now a file");
      assert.deepEqual(readdirSync(join(root, "e")), []);
    },
  );
});

test("an opaque mark through a symlink of the layer marks what it points to", {
  skip: skip || needs("getfattr"),
}, async () => {
  await attack(
    (outside) => [
      directory("real"),
      symlink("link", "/real"),
      file("link/.wh..wh..opq"),
      symlink("out", outside),
      directory(outside.slice(1)),
      file("out/.wh..wh..opq"),
    ],
    ({ error, root }, outside) => {
      assert.equal(error, undefined);
      assert.ok(lstatSync(join(root, "link")).isSymbolicLink());
      const marked = describeTree(root).match(/# file: \S+/g);
      assert.deepEqual(marked, ["# file: ./real", `# file: .${outside}`].sort());
    },
  );
});

test("of duplicate members the last one stands, attributes too", { skip }, async () => {
  await attack(
    [
      file("f", "first", { mode: 0o600 }),
      file("f", "second", { mode: 0o640, uid: 3 }),
      directory("d", { mode: 0o700 }),
      directory("d/", { mode: 0o711, uid: 4, mtimeSeconds: 77 }),
      symlink("l", "a"),
      symlink("l", "b"),
    ],
    ({ error, root }) => {
      assert.equal(error, undefined);
      assert.equal(text(root, "f"), "second");
      assert.equal(statSync(join(root, "f")).mode & 0o7777, 0o640);
      const { mode, uid, mtimeMs } = statSync(join(root, "d"));
      assert.deepEqual([mode & 0o7777, uid, mtimeMs], [0o711, 4, 77_000]);
      assert.equal(readlinkSync(join(root, "l")), "b");
    },
  );
});

test("long names are made as far as Linux takes them, and refused beyond", { skip }, async () => {
  const long = `${`${"n".repeat(254)}/`.repeat(15)}${"f".repeat(255)}`;
  await attack([file(long, "x")], ({ error, root }) => {
    assert.equal(error, undefined);
    assert.ok(long.length > 4000);
    process.chdir(root);
    assert.equal(readFileSync(long, "utf8"), "x");
    process.chdir("/");
  });
  await attack([file("n".repeat(256))], ({ error }) => {
    assert.equal(error?.code, "invalid-argument");
    assert.match(error.message, /file name too long/);
  });
  await attack([file("n/".repeat(2100))], ({ error }) => {
    assert.equal(error?.code, "resource-exhausted");
  });
  await attack([file(`${"n/".repeat(1000)}f`)], ({ error }) => {
    assert.equal(error?.code, "resource-exhausted");
    assert.match(error.message, /1001 components, more than 512/);
  });
});

test("xattrs: overlay's own are dropped, too large ones refused", {
  skip: skip || needs("getfattr"),
}, async () => {
  await attack(
    [
      file("f", "x", {
        xattrs: {
          "trusted.overlay.redirect": "/../../etc",
          "user.overlay.opaque": "y",
          "trusted.overlay.metacopy": "",
          "trusted.kept": "1",
        },
      }),
      directory("d", { xattrs: { "trusted.overlay.opaque": "y", "trusted.dir": "1" } }),
    ],
    ({ error, root }) => {
      assert.equal(error, undefined);
      const described = describeTree(root);
      assert.doesNotMatch(described, /overlay/);
      assert.match(described, /trusted\.kept/);
      assert.match(described, /trusted\.dir/);
    },
  );
  await attack([file("f", "x", { xattrs: { "user.big": "v".repeat(70_000) } })], ({ error }) => {
    assert.equal(error?.code, "resource-exhausted");
    assert.match(error.message, /user\.big.*65536/);
  });
  await attack([file("f", "x", { xattrs: { "system.nonsense": "1" } })], ({ error }) => {
    // a name space that no file system knows is passed over
    assert.equal(error, undefined);
  });
});

test("owners that mean no change and numbers that do not fit are refused", { skip }, async () => {
  await attack([file("f", "x", { uid: 0xffffffff })], ({ error }) => {
    assert.equal(error?.code, "invalid-argument");
    assert.match(error.message, /owner or group -1/);
  });
  await attack([device("d", 5000, 1)], ({ error }) => {
    assert.equal(error?.code, "invalid-argument");
    assert.match(error.message, /device number/);
  });
});

test("the root itself can be described, not replaced", { skip }, async () => {
  await attack([directory("./", { mode: 0o711, uid: 3 }), file("f")], ({ error, root }) => {
    assert.equal(error, undefined);
    assert.deepEqual([statSync(root).mode & 0o7777, statSync(root).uid], [0o711, 3]);
  });
  for (const member of [file("./"), symlink("/", "/etc"), link(".", "f"), device("./", 1, 3), file("a/..")])
    await attack(
      [file("f"), member.type === "file" ? { ...member, path: "." as ByteString } : member],
      ({ error }) => {
        assert.equal(error?.code, "invalid-argument", member.type);
        assert.match(error.message, /root/);
      },
    );
});

test("symlinks that lead to nothing get their directory inside the root", { skip }, async () => {
  await attack(
    (outside) => [
      symlink("a", "b"),
      symlink("b", "/c/d"),
      file("a/f", "1"),
      symlink("up", `../../../..${outside}/new`),
      file("up/f", "2"),
      symlink("loop", "loop"),
    ],
    ({ error, root }, outside) => {
      assert.equal(error, undefined);
      assert.equal(text(root, "c/d/f"), "1");
      assert.equal(text(root, `${outside.slice(1)}/new/f`), "2");
    },
  );
  await attack([symlink("x", "y"), symlink("y", "x"), file("x/f")], ({ error }) => {
    assert.equal(error?.code, "invalid-argument");
    assert.match(error.message, /too many levels of symbolic links/);
  });
});

test("a magic link of /proc in the layer leads nowhere", { skip }, async (t) => {
  const magic = mkdtempSync(join(tmpdir(), "gantry-magic-"));
  t.after(() => rmSync(magic, { recursive: true }));
  await attack(
    [
      symlink("fd", `/proc/self/root${magic}`),
      file("fd/evil", "x"),
      symlink("r", "/proc/self/cwd"),
      file("r/evil", "x"),
    ],
    ({ error, root }) => {
      assert.equal(error, undefined);
      assert.equal(text(root, `proc/self/root${magic}/evil`), "x");
      assert.equal(existsSync(join(magic, "evil")), false);
    },
  );
});

test("random archives of links, directories and files never reach out", {
  skip,
  timeout: 60_000,
}, async () => {
  const name = fc.constantFrom("a", "b", "a/b", "b/a", "a/b/c", "c", "c/a", "./a", "a/../c");
  const target = fc.constantFrom(
    "a",
    "b",
    "..",
    "../..",
    "/",
    "/a",
    "OUT",
    "OUT/dir",
    "../../../../../../../../OUT",
    "c",
    ".",
    "b/c",
  );
  const member = fc.oneof(
    fc.record({
      kind: fc.constantFrom("file", "directory", "fifo", "whiteout", "opaque"),
      path: name,
      to: fc.constant(""),
    }),
    fc.record({ kind: fc.constantFrom("symlink", "link"), path: name, to: target }),
    fc.record({
      kind: fc.constant("file"),
      path: fc.tuple(name, fc.constantFrom("secret", "dir/file")).map((parts) => parts.join("/")),
      to: fc.constant(""),
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(member, { minLength: 2, maxLength: 12 }), async (members) => {
      await attack(
        (outside) =>
          members.map(({ kind, path, to }) => {
            const where = to.replace("OUT", outside);
            switch (kind) {
              case "directory":
                return directory(path, { mode: 0o4777, uid: 99 });
              case "fifo":
                return fifo(path);
              case "whiteout":
                return file(`${path}/.wh.secret`);
              case "opaque":
                return file(`${path}/.wh..wh..opq`);
              case "symlink":
                return symlink(path, where, { uid: 99 });
              case "link":
                return link(path, where);
              default:
                return file(path, "evil", { mode: 0o6777, uid: 99 });
            }
          }),
        () => {},
      );
    }),
    { numRuns: 40 },
  );
});
