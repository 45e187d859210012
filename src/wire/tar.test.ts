import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { GantryError } from "../base/error.ts";
import {
  type ByteString,
  byteStringOf,
  type TarEntry,
  type TarLimits,
  textOfByteString,
} from "./tar-format.ts";
import { TarReader } from "./tar-reader.ts";
import { type TarMember, tarArchive, tarEnd, tarHeader } from "./tar-writer.ts";

interface Read extends TarEntry {
  data: Buffer;
}

/** Reads a whole archive in chunks of a size, files with their holes filled. */
function readAll(archive: Uint8Array, chunkBytes = 1 << 20, limits: Partial<TarLimits> = {}): Read[] {
  const entries: Read[] = [];
  let open = false;
  const reader = new TarReader(
    {
      entry: (entry) => {
        assert.equal(open, false);
        open = true;
        entries.push({ ...entry, data: Buffer.alloc(entry.sizeBytes > 1 << 26 ? 0 : entry.sizeBytes) });
      },
      data: (bytes, offset) => {
        assert.ok(open && bytes.length > 0);
        const { data, sizeBytes } = entries.at(-1)!;
        assert.ok(offset + bytes.length <= sizeBytes);
        if (data.length === sizeBytes) data.set(bytes, offset);
      },
      end: () => {
        assert.equal(open, true);
        open = false;
      },
    },
    limits,
  );
  for (let at = 0; at < archive.length; at += chunkBytes) reader.push(archive.subarray(at, at + chunkBytes));
  reader.finish();
  return entries;
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof GantryError, String(error));
    return `${error.code}: ${error.message}`;
  }
  return "no error";
}

const bytes = (text: string) => text as ByteString;
const file = (path: string, data = ""): TarMember & { data: Uint8Array } => ({
  path: bytes(path),
  type: "file",
  mode: 0o644,
  data: Buffer.from(data),
});

function inDirectory<T>(run: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), "tar-test-"));
  try {
    return run(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const tar = (dir: string, ...args: string[]) =>
  execFileSync("tar", ["--sort=name", ...args], {
    cwd: dir,
    maxBuffer: 1 << 28,
    env: { ...process.env, TZ: "UTC" },
  });

const byteText = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 0x61, max: 0x7a }) },
      fc.integer({ min: 1, max: 255 }),
    ),
    {
      minLength: 1,
      maxLength: 300,
    },
  )
  .map((codes) => String.fromCharCode(...codes) as ByteString);

const member: fc.Arbitrary<TarMember & { data?: Uint8Array }> = fc.oneof(
  fc.record({
    path: byteText.filter((path) => !path.endsWith("/")),
    type: fc.constant("file" as const),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.nat(0xfffffffe),
    gid: fc.nat(0xfffffffe),
    mtimeSeconds: fc.integer({ min: -(2 ** 33), max: 2 ** 40 }),
    mtimeNanoseconds: fc.nat(999_999_999),
    data: fc.uint8Array({ maxLength: 2000 }),
    xattrs: fc.uniqueArray(
      fc.record({
        name: fc.stringMatching(/^user\.[a-z]{1,20}$/).map((name) => name as ByteString),
        value: fc.uint8Array({ maxLength: 200 }),
      }),
      { selector: ({ name }) => name, maxLength: 4 },
    ),
  }),
  fc.record({
    path: byteText,
    type: fc.constantFrom("symlink" as const, "link" as const),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    linkPath: byteText,
  }),
  fc.record({
    path: byteText,
    type: fc.constantFrom("character-device" as const, "block-device" as const),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    major: fc.nat(8 ** 7 - 1),
    minor: fc.nat(8 ** 7 - 1),
  }),
  fc.record({
    path: byteText,
    type: fc.constantFrom("directory" as const, "fifo" as const),
    mode: fc.nat(0o7777),
  }),
);

test("what the writer writes, the reader reads, in chunks of any size", () => {
  fc.assert(
    fc.property(
      fc.array(member, { maxLength: 8 }),
      fc.integer({ min: 1, max: 4000 }),
      (members, chunkBytes) => {
        const read = readAll(tarArchive(members), chunkBytes);
        assert.equal(read.length, members.length);
        members.forEach((wanted, index) => {
          const found = read[index]!;
          const { data = new Uint8Array(), xattrs = [], ...rest } = wanted;
          for (const [key, value] of Object.entries(rest))
            assert.equal(found[key as keyof TarEntry], value, key);
          assert.deepEqual([...found.data], [...data]);
          assert.deepEqual(
            found.xattrs.map(({ name, value }) => [name, [...value]]),
            xattrs.map(({ name, value }) => [name, [...value]]),
          );
        });
      },
    ),
    { numRuns: 150 },
  );
});

test("GNU tar lists what the writer writes", () => {
  const listing = inDirectory((dir) => {
    writeFileSync(
      join(dir, "a.tar"),
      tarArchive([
        { path: bytes("etc/"), type: "directory", mode: 0o755, mtimeSeconds: 86400 },
        { ...file("etc/passwd", "root:x:0:0"), uid: 1, gid: 2, mtimeSeconds: 1_700_000_000 },
        { ...file(`${"deep/".repeat(40)}file`, "x"), uid: 3_000_000_000 },
        { path: bytes("link"), type: "symlink", mode: 0o777, linkPath: bytes("e".repeat(150)) },
        { path: bytes("hard"), type: "link", mode: 0o644, linkPath: bytes("etc/passwd") },
        { path: bytes("null"), type: "character-device", mode: 0o666, major: 1, minor: 3 },
      ]),
    );
    return tar(dir, "--numeric-owner", "-tvf", "a.tar").toString();
  });
  assert.deepEqual(
    listing
      .trim()
      .split("\n")
      .map((line) => line.replace(/ +/g, " ")),
    [
      "drwxr-xr-x 0/0 0 1970-01-02 00:00 etc/",
      "-rw-r--r-- 1/2 10 2023-11-14 22:13 etc/passwd",
      `-rw-r--r-- 3000000000/0 1 1970-01-01 00:00 ${"deep/".repeat(40)}file`,
      `lrwxrwxrwx 0/0 0 1970-01-01 00:00 link -> ${"e".repeat(150)}`,
      "hrw-r--r-- 0/0 0 1970-01-01 00:00 hard link to etc/passwd",
      "crw-rw-rw- 0/0 1,3 1970-01-01 00:00 null",
    ],
  );
});

test("sparse files and odd names of attributes come back as they were, from GNU tar too", () => {
  // GNU tar begins each part in a block of its own; those that a file system tells of are whole blocks but for the last
  const extents = [
    { offset: 4096, sizeBytes: 512 },
    { offset: 102_400, sizeBytes: 2 },
  ];
  const xattrs = [{ name: bytes("user.a=b%3D%"), value: Buffer.from("=\0") }];
  const sparse = (path: string, parts: typeof extents, data: string) => [
    tarHeader({
      path: bytes(path),
      type: "file",
      mode: 0o640,
      sizeBytes: 200_000,
      uid: 7,
      xattrs,
      extents: parts,
    }),
    Buffer.concat([Buffer.from(data), Buffer.alloc((512 - (data.length % 512)) % 512)]),
  ];
  const archive = Buffer.concat([
    ...sparse("dir/some", extents, `${"x".repeat(512)}de`),
    ...sparse(`${"deep/".repeat(40)}none`, [], ""),
    tarEnd(),
  ]);
  const [some, none] = readAll(archive);
  assert.deepEqual([some!.path, some!.sizeBytes, some!.uid], ["dir/some", 200_000, 7]);
  assert.deepEqual(
    some!.xattrs.map(({ name, value }) => [name, Buffer.from(value).toString()]),
    [["user.a=b%3D%", "=\0"]],
  );
  const expected = Buffer.alloc(200_000);
  expected.write("x".repeat(512), 4096);
  expected.write("de", 102_400);
  assert.ok(some!.data.equals(expected));
  assert.deepEqual([none!.path, none!.sizeBytes], [`${"deep/".repeat(40)}none`, 200_000]);
  assert.ok(none!.data.every((byte) => byte === 0));
  inDirectory((dir) => {
    writeFileSync(join(dir, "a.tar"), archive);
    tar(dir, "-xf", "a.tar", "dir/some");
    assert.ok(readFileSync(join(dir, "dir/some")).equals(expected));
  });
});

for (const format of ["v7", "oldgnu", "gnu", "ustar", "posix"])
  test(`the reader reads what GNU tar writes in format ${format}`, () => {
    inDirectory((dir) => {
      execFileSync(
        "sh",
        [
          "-c",
          `
        mkdir -p t/d/${"long".repeat(12)}/x && echo one > t/one && ln t/one t/hard && ln -s one t/soft
        printf '\\351t\\351' > "$(printf 't/\\351t\\351')"; ${format === "v7" ? "" : "mkfifo t/fifo;"} : > t/empty; chmod 6751 t/one
        head -c 70000 /dev/urandom > t/big; touch -d '2020-02-02 02:02:02 UTC' t/one t/big`,
        ],
        { cwd: dir },
      );
      const long = format === "v7" || format === "ustar" ? "" : `t/d/${"n".repeat(120)}`;
      if (long) writeFileSync(join(dir, long), "long");
      const archive = tar(
        dir,
        `--format=${format}`,
        "--numeric-owner",
        "--owner=7",
        "--group=8",
        "-cf",
        "-",
        "t",
      );
      const listing = execFileSync("tar", ["--quoting-style=literal", "-tf", "-"], {
        input: archive,
      }).toString("latin1");
      for (const chunkBytes of [1 << 20, 512, 1000, 7]) {
        const read = readAll(archive, chunkBytes);
        const byPath = new Map(read.map((entry) => [entry.path as string, entry]));
        assert.deepEqual(
          read.map((entry) => entry.path as string),
          listing.split("\n").filter((line) => line !== ""),
        );
        assert.equal(byPath.get("t/")?.type, "directory");
        assert.equal(byPath.get("t/soft")?.linkPath, "one");
        const [first, second] = [byPath.get("t/hard")!, byPath.get("t/one")!];
        assert.deepEqual([first.type, second.type].sort(), ["file", "link"]);
        assert.equal(first.mode, 0o6751);
        assert.equal(first.mtimeSeconds, 1580608922);
        assert.equal(first.uid, 7);
        assert.equal(byPath.get("t/\xe9t\xe9")?.data.toString("latin1"), "\xe9t\xe9");
        assert.equal(byPath.get("t/empty")?.sizeBytes, 0);
        assert.ok(byPath.get("t/big")?.data.equals(readFileSync(join(dir, "t/big"))));
        assert.equal(byPath.get("t/fifo")?.type, format === "v7" ? undefined : "fifo");
        if (long) assert.equal(byPath.get(long)?.data.toString(), "long");
      }
    });
  });

for (const format of ["oldgnu", "posix 0.0", "posix 0.1", "posix 1.0"])
  test(`a sparse file of format ${format} is read with its holes`, () => {
    inDirectory((dir) => {
      const fd = openSync(join(dir, "sparse"), "w");
      // more extents than fit into one header block of the old format
      for (let extent = 0; extent < 40; extent++) writeSync(fd, `data ${extent}`, extent * 1_000_000);
      closeSync(fd);
      const [name, version] = format.split(" ");
      const archive = tar(
        dir,
        `--format=${name}`,
        ...(version ? [`--sparse-version=${version}`] : []),
        "-S",
        "-cf",
        "-",
        "sparse",
      );
      assert.ok(archive.length < 1_000_000, "GNU tar did not write it sparse");
      for (const chunkBytes of [1 << 20, 511]) {
        const [entry] = readAll(archive, chunkBytes);
        assert.equal(entry?.path, "sparse");
        assert.equal(entry?.sparse?.length, 40);
        assert.ok(entry?.data.equals(readFileSync(join(dir, "sparse"))));
      }
    });
  });

/** A member with raw pax records, as a hostile archive has them. */
function withRecords(
  records: readonly (readonly [string, string])[],
  flag = "x",
  after = file("f", "data"),
): Uint8Array {
  const payload = Buffer.concat(
    records.map(([key, value]) => {
      const rest = ` ${key}=${value}\n`.length;
      let length = rest + 1;
      while (String(length).length + rest > length) length++;
      return Buffer.from(`${length} ${key}=${value}\n`, "latin1");
    }),
  );
  const header = Buffer.from(tarHeader({ ...file("pax"), sizeBytes: payload.length }));
  header.write(flag, 156, "latin1");
  return Buffer.concat([
    seal(header),
    payload,
    Buffer.alloc((512 - (payload.length % 512)) % 512),
    tarArchive([after]),
  ]);
}

function seal(header: Buffer): Buffer {
  header.write("        ", 148, 8, "latin1");
  header.write(
    `${header
      .subarray(0, 512)
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
    8,
    "latin1",
  );
  return header;
}

test("pax records override the header, and an empty value takes one back", () => {
  const [entry] = readAll(
    withRecords([
      ["uid", "5"],
      ["uid", ""],
      ["gid", "3000000000"],
      ["mtime", "-1.25"],
      ["path", "r\xc3\xa9sum\xe9"],
      ["SCHILY.xattr.user.a=b", "1"],
      ["comment", "line\nbreak"],
    ]),
  );
  assert.equal(entry?.uid, 0);
  assert.equal(entry?.gid, 3_000_000_000);
  assert.deepEqual([entry?.mtimeSeconds, entry?.mtimeNanoseconds], [-2, 750_000_000]);
  assert.equal(entry?.path, "r\xc3\xa9sum\xe9");
  assert.equal(entry?.xattrs[0]?.name, "user.a");
  assert.equal(Buffer.from(entry!.xattrs[0]!.value).toString(), "b=1");
});

test("global records hold for all members that follow, below their own", () => {
  const archive = Buffer.concat([
    Buffer.from(
      withRecords(
        [
          ["uid", "9"],
          ["SCHILY.xattr.user.g", "all"],
        ],
        "g",
        file("a"),
      ),
    ).subarray(0, -1024),
    Buffer.from(withRecords([["uid", "4"]], "x", file("b"))),
  ]);
  const [a, b] = readAll(archive);
  assert.deepEqual([a?.uid, b?.uid], [9, 4]);
  assert.deepEqual([a?.xattrs.length, b?.xattrs.length], [1, 1]);
  assert.match(
    code(() => readAll(withRecords([["path", "/etc/shadow"]], "g"))),
    /invalid-argument.*only one member/,
  );
});

test("limits are kept, each with its own error", () => {
  const many = tarArchive(Array.from({ length: 20 }, (_, index) => file(`f${index}`)));
  assert.match(
    code(() => readAll(many, 512, { entries: 19 })),
    /^resource-exhausted: .*more than 19 members/,
  );
  assert.match(
    code(() => readAll(withRecords([["path", "p".repeat(5000)]]))),
    /^resource-exhausted: .*path of 5000 bytes/,
  );
  assert.match(
    code(() => readAll(withRecords([["SCHILY.xattr.user.x", "v".repeat(65537)]]))),
    /^resource-exhausted: .*user\.x/,
  );
  assert.match(
    code(() => readAll(withRecords([["comment", "c".repeat(2 << 20)]]))),
    /^resource-exhausted: .*extended header of/,
  );
  const names = Array.from({ length: 300 }, (_, index) => [`SCHILY.xattr.user.x${index}`, "1"] as const);
  assert.match(
    code(() => readAll(withRecords(names))),
    /^resource-exhausted: .*more than 256 xattrs/,
  );
});

test("a sparse map without end is refused before it is held (CVE-2025-58183)", () => {
  const pairs = Array.from({ length: 70_000 }, (_, index) => `${index * 2},0`).join(",");
  const records = [
    ["GNU.sparse.size", "1000000"],
    ["GNU.sparse.map", pairs],
  ] as const;
  assert.match(
    code(() => readAll(withRecords(records, "x"), 1 << 20)),
    /^resource-exhausted: .*extents/,
  );
  const map = [
    ["GNU.sparse.major", "1"],
    ["GNU.sparse.minor", "0"],
    ["GNU.sparse.realsize", "9"],
  ] as const;
  const bomb = withRecords(map, "x", file("bomb", `99999999\n${"0\n1\n".repeat(1000)}`));
  assert.match(
    code(() => readAll(bomb)),
    /^resource-exhausted: .*"bomb".*extents/,
  );
  const endless = withRecords(map, "x", file("endless", "60000\n0\n0\n"));
  assert.match(
    code(() => readAll(endless)),
    /^invalid-argument: .*"endless".*(no number|does not end)/,
  );
  for (const wrong of ["0,5,3,5", "5,9", "0,4,1"])
    assert.match(
      code(() =>
        readAll(
          withRecords([
            ["GNU.sparse.size", "10"],
            ["GNU.sparse.map", wrong],
          ]),
        ),
      ),
      /^invalid-argument/,
    );
});

test("a truncated archive is data-loss wherever it is cut, but for the boundary of members", () => {
  const archive = Buffer.from(withRecords([["uid", "5"]], "x", file("name", "some data")));
  for (let length = 1; length < archive.length - 1024; length++) {
    const result = code(() => readAll(archive.subarray(0, length)));
    if (length === archive.length - 1024) assert.equal(result, "no error");
    else
      assert.match(result, /^data-loss: read tar.* ends in the middle \(after \d+ bytes\)/, String(length));
  }
  assert.equal(
    code(() => readAll(new Uint8Array())),
    "no error",
  );
  assert.equal(
    code(() => readAll(tarEnd())),
    "no error",
  );
});

test("what follows the end of the archive is passed over", () => {
  const archive = Buffer.concat([tarArchive([file("a", "1")]), Buffer.from("rubbish".repeat(500))]);
  assert.equal(readAll(archive).length, 1);
  assert.match(
    code(() => readAll(Buffer.concat([tarArchive([file("a")]).subarray(0, -512), tarArchive([file("b")])]))),
    /single zero block/,
  );
});

test("garbage and a flipped byte give a GantryError with the place, or a good reading, never anything else", () => {
  const valid = Buffer.concat([
    Buffer.from(
      withRecords(
        [
          ["uid", "5"],
          ["SCHILY.xattr.user.x", "y"],
        ],
        "x",
        file("name", "some data"),
      ),
    ).subarray(0, -1024),
    Buffer.from(
      withRecords(
        [
          ["GNU.sparse.size", "900"],
          ["GNU.sparse.map", "0,4"],
        ],
        "x",
        file("sparse", "data"),
      ),
    ).subarray(0, -1024),
    tarArchive([
      file("n".repeat(300), "long"),
      { path: bytes("l"), type: "symlink", mode: 0o777, linkPath: bytes("t") },
    ]),
  ]);
  const attempt = (archive: Buffer, chunkBytes: number) => {
    const result = code(() => readAll(archive, chunkBytes));
    assert.match(
      result,
      /^(no error|(invalid-argument|resource-exhausted|data-loss|unimplemented): read tar)/,
    );
  };
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 3000 }),
      (flips, resealed, chunkBytes) => {
        const archive = Buffer.from(valid);
        for (const [at, value] of flips) archive[at] = value;
        if (resealed)
          for (const [at] of flips)
            if (archive.length - (at & ~511) >= 512) seal(archive.subarray(at & ~511));
        attempt(archive, chunkBytes);
      },
    ),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (noise) => attempt(Buffer.from(noise), 512)),
    { numRuns: 300 },
  );
});

test("text becomes bytes and back", () => {
  assert.equal(byteStringOf("é").length, 2);
  assert.equal(textOfByteString(byteStringOf("é")), "é");
  assert.equal(textOfByteString("\xe9" as ByteString), "\ufffd");
});
