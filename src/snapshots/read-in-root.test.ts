import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { readInRoot } from "./read-in-root.ts";

interface Layer {
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly opaque?: readonly string[];
}

/** Layers top first, as directories. */
function withLayers(
  layers: readonly Layer[],
  run: (read: (path: string, limit?: number) => string | undefined) => void,
) {
  const top = mkdtempSync(join(tmpdir(), "root-test-"));
  try {
    const made = layers.map(({ files = {}, links = {}, opaque = [] }, index) => {
      const directory = join(top, `${index}`);
      mkdirSync(directory);
      const place = (path: string) => {
        mkdirSync(dirname(join(directory, path)), { recursive: true });
        return join(directory, path);
      };
      for (const [path, text] of Object.entries(files)) writeFileSync(place(path), text);
      for (const [path, target] of Object.entries(links))
        symlinkSync(target.replace("TOP", top), place(path));
      return { directory, opaque: new Set(opaque) };
    });
    writeFileSync(join(top, "secret"), "secret");
    const descriptors = readdirSync("/proc/self/fd").length;
    run((path, limit) => {
      const bytes = readInRoot(made, path, limit);
      return bytes && Buffer.from(bytes).toString();
    });
    assert.equal(readdirSync("/proc/self/fd").length, descriptors, "no descriptor is left open");
  } finally {
    rmSync(top, { recursive: true });
  }
}

test("the upper layer covers the lower, and directories merge", () => {
  withLayers(
    [{ files: { "etc/passwd": "new" } }, { files: { "etc/passwd": "old", "etc/group": "group" } }],
    (read) => {
      assert.equal(read("/etc/passwd"), "new");
      assert.equal(read("etc//./group"), "group");
      assert.equal(read("etc/none"), undefined);
      assert.equal(read("none/none"), undefined);
      assert.throws(() => read("etc"), /is a directory/);
      assert.throws(() => read("/"), /is a directory/);
    },
  );
});

test("an opaque directory hides what lies below, the root too", () => {
  withLayers(
    [{ files: { "a/new": "1" }, opaque: ["a"] }, { files: { "a/old": "2", "b/c/old": "3" } }],
    (read) => {
      assert.equal(read("a/new"), "1");
      assert.equal(read("a/old"), undefined);
      assert.equal(read("b/c/old"), "3");
    },
  );
  withLayers([{ files: { new: "1" }, opaque: [""] }, { files: { old: "2" } }], (read) => {
    assert.equal(read("new"), "1");
    assert.equal(read("old"), undefined);
  });
});

test("a file hides a directory of the same name, and a directory a file", () => {
  withLayers(
    [{ files: { x: "file", "y/in": "in" } }, { files: { "x/in": "hidden", y: "hidden" } }],
    (read) => {
      assert.equal(read("x"), "file");
      assert.equal(read("x/in"), undefined);
      assert.equal(read("y/in"), "in");
    },
  );
});

test("symlinks stay in the root, wherever they point", () => {
  withLayers(
    [
      {
        links: {
          out: "TOP/secret",
          up: "../../../../../../../../TOP/secret",
          etc: "/usr/etc",
          loop: "loop2",
          loop2: "loop",
        },
      },
      {
        files: { "usr/etc/passwd": "root" },
        links: { "usr/self": ".", "usr/etc/back": "../../etc/./passwd" },
      },
    ],
    (read) => {
      assert.equal(read("out"), undefined);
      assert.equal(read("up"), undefined);
      assert.equal(read("etc/passwd"), "root");
      assert.equal(read("usr/self/self/etc/back"), "root");
      assert.equal(read("../../etc/passwd"), "root");
      assert.throws(() => read("loop"), /too many symbolic links/);
    },
  );
});

test("what is too long, or no regular file, is refused", () => {
  withLayers([{ files: { f: "x".repeat(100), empty: "" } }], (read) => {
    assert.equal(read("f", 100)?.length, 100);
    assert.throws(() => read("f", 99), /longer than 99 bytes/);
    assert.equal(read("empty"), "");
    assert.equal(read("f/"), undefined);
  });
  const dir = mkdtempSync(join(tmpdir(), "root-test-"));
  try {
    execFileSync("mkfifo", [join(dir, "fifo")]);
    assert.throws(() => readInRoot([{ directory: dir, opaque: new Set() }], "fifo"), /not a regular file/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
