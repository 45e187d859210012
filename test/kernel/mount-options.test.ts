/**
 * Each of the mount options of the specification, by what the kernel then says of the mount (mountinfo). All stand in
 * one config, whose bind sources are mounts of a mount namespace of the test's own: `plain` has no attribute, `strict`
 * has them all, either with a mount below it, and both are shared with a peer group. `disk` is of the file system of
 * temporary files: a tmpfs takes id maps since Linux 6.3 only.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import test, { before } from "node:test";
import { mountOptionNames } from "../../src/linux/mount-options.ts";
import { type MountEntry, parseMountinfo } from "../../src/linux/mountinfo.ts";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { containerId, type Json, unready, withBundle } from "./bundle.ts";

const skip = unready || needs("unshare");

interface Expectation {
  /** A new tmpfs unless it is one of the bind sources. */
  readonly from?: "plain" | "strict" | "disk";
  /** Options before the one that is tried; with none a bind is not recursive. */
  readonly with?: readonly string[];
  /** What mountinfo must or must not say of the mount itself: "ro", "!ro". */
  readonly self?: string;
  /** The same of the mount below; "none" if there must not be one. */
  readonly below?: string;
  /** Of the file system. */
  readonly fs?: string;
  /** Of its propagation. */
  readonly tags?: RegExp;
  /** Why Debian's runc 1.1.5 is not asked. */
  readonly withoutReference?: string;
}

const old = "runc 1.1.5 does not know it";
/** Sets on a plain bind, and takes back on a strict one: name, what mountinfo says, its opposite. */
const attributes: readonly (readonly [name: string, on: boolean, says: string])[] = [
  ["ro", true, "ro"],
  ["rw", false, "rw"],
  ["nosuid", true, "nosuid"],
  ["suid", false, "!nosuid"],
  ["nodev", true, "nodev"],
  ["dev", false, "!nodev"],
  ["noexec", true, "noexec"],
  ["exec", false, "!noexec"],
  ["nodiratime", true, "nodiratime"],
  ["diratime", false, "!nodiratime"],
  ["noatime", true, "noatime"],
  ["atime", false, "relatime"],
  ["strictatime", true, "!relatime !noatime"],
  ["nostrictatime", false, "relatime"],
  ["relatime", false, "relatime"],
  ["norelatime", false, "relatime"],
  ["nosymfollow", true, "nosymfollow"],
  ["symfollow", false, "!nosymfollow"],
];
const newer = new Set(["nosymfollow", "symfollow"]);
const halfAtime = new Set(["atime", "nostrictatime", "norelatime"]);

const expectations: Record<string, Expectation> = {};
for (const [name, on, says] of attributes) {
  const from = on ? "plain" : "strict";
  const untouched = on
    ? "!ro !nosuid !nodev !noexec !noatime !nodiratime !nosymfollow relatime"
    : "ro,nosuid";
  expectations[name] = {
    from,
    with: ["rbind"],
    self: says,
    below: on ? untouched : "ro nosuid nodev noexec noatime nodiratime nosymfollow",
    withoutReference: newer.has(name)
      ? old
      : on
        ? undefined
        : "runc 1.1.5 keeps what the source has in a way of its own",
  } as Expectation;
  expectations[`r${name}`] = {
    from,
    with: ["rbind"],
    self: says,
    below: says,
    withoutReference: halfAtime.has(name)
      ? "runc 1.1.5 names a part of the atime field, which the kernel refuses"
      : newer.has(name)
        ? old
        : undefined,
  } as Expectation;
}
Object.assign(expectations, {
  defaults: {
    self: "rw relatime !nosuid !nodev !noexec",
    fs: "rw !sync",
    withoutReference: "runc 1.1.5 hands it to the file system, and a tmpfs does not know it",
  },
  async: { with: ["sync"], fs: "!sync" },
  sync: { fs: "sync" },
  dirsync: { fs: "dirsync" },
  lazytime: { fs: "lazytime", withoutReference: old },
  nolazytime: { with: ["lazytime"], fs: "!lazytime", withoutReference: old },
  // a new kernel has no mandatory locks, and none of these three shows anywhere: they must pass
  mand: { self: "rw" },
  nomand: { with: ["mand"], self: "rw" },
  silent: { self: "rw", withoutReference: old },
  loud: { with: ["silent"], self: "rw", withoutReference: old },
  iversion: { self: "rw" },
  noiversion: { with: ["iversion"], self: "rw" },
  tmpcopyup: { self: "rw" },
  bind: { from: "plain", below: "none" },
  rbind: { from: "plain", below: "rw" },
  private: { from: "plain", with: ["rbind"], tags: /^$/ },
  rprivate: { from: "plain", with: ["rbind"], tags: /^$/ },
  shared: { from: "plain", with: ["rbind"], tags: /shared:/ },
  rshared: { from: "plain", with: ["rbind"], tags: /shared:/ },
  slave: { from: "plain", with: ["rbind"], tags: /master:/ },
  rslave: { from: "plain", with: ["rbind"], tags: /^master:\d+$/ },
  unbindable: { from: "plain", with: ["rbind"], tags: /unbindable/ },
  runbindable: { from: "plain", with: ["rbind"], tags: /unbindable/ },
  remount: {
    with: ["nosuid", "noexec", "ro", "size=64k"],
    self: "nosuid noexec rw",
    fs: "size=128k",
    withoutReference: "runc 1.1.5 cannot change a mount that it has just made so",
  },
  idmap: { from: "disk", below: "none", withoutReference: old },
  ridmap: { from: "disk", with: ["rbind"], below: "rw", withoutReference: old },
} satisfies Record<string, Expectation>);

const names = Object.keys(expectations);
const both = ["gantry-oci", "runc"] as const;
type Name = (typeof both)[number];

function asks(name: Name, option: string): boolean {
  return name === "gantry-oci" || expectations[option]!.withoutReference === undefined;
}

function mountsFor(name: Name, files: string): readonly Json[] {
  const ids = [{ containerID: 0, hostID: 1000, size: 10 }];
  return names
    .filter((option) => asks(name, option))
    .flatMap((option): Json[] => {
      const { from, with: before = [] } = expectations[option]!;
      const destination = `/m/${option}`;
      if (option === "remount")
        return [
          { destination, type: "tmpfs", source: "tmpfs", options: before },
          { destination, options: ["remount", "rw", "size=128k"] },
        ];
      if (from === undefined)
        return [{ destination, type: "tmpfs", source: "tmpfs", options: [...before, option] }];
      const bind = before.includes("rbind") || option === "rbind" ? [] : ["bind"];
      const mapped = option.endsWith("idmap") ? { uidMappings: ids, gidMappings: ids } : {};
      return [
        {
          destination,
          type: "bind",
          source: join(files, from),
          options: [...new Set([...bind, ...before, option])],
          ...mapped,
        },
      ];
    });
}

/** What the container saw, by runtime. */
const seen = new Map<Name, readonly MountEntry[]>();

async function look(name: Name): Promise<void> {
  const proc = { destination: "/proc", type: "proc", source: "proc" };
  await withBundle(
    name,
    "cat /proc/self/mountinfo",
    (files) => ({ mounts: [proc, ...mountsFor(name, files)] }),
    async (runtime, bundle) => {
      const [plain, strict, disk] = ["plain", "strict", "disk"].map((folder) => join(bundle.files, folder));
      for (const folder of [plain, strict, disk, `${disk}/below`]) mkdirSync(folder!);
      const all = "ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow";
      const script = [
        `mount --bind ${disk} ${disk}`,
        `mount --bind ${disk}/below ${disk}/below`,
        ...[plain, strict].flatMap((path) => [
          `mount -t tmpfs tmpfs ${path}`,
          `mkdir ${path}/below`,
          `mount -t tmpfs tmpfs ${path}/below`,
          `mount --make-rshared ${path}`,
        ]),
        `mount -o remount,bind,${all} ${strict}/below`,
        `mount -o remount,bind,${all} ${strict}`,
        `exec ${runtime.program} --root ${runtime.root} run --bundle ${bundle.path} ${containerId()}`,
      ].join("\n");
      const { stdout, stderr, code } = await command(["unshare", "-m", "sh", "-ec", script], {
        timeoutMs: 60_000,
      });
      assert.equal(code, 0, `${name}: ${stderr}`);
      seen.set(name, parseMountinfo(stdout));
    },
  );
}

before(async () => {
  if (!skip) await Promise.all(both.map(look));
});

function says(wanted: string | undefined, found: readonly string[], who: string): void {
  for (const word of (wanted ?? "").split(/[ ,]/).filter(Boolean))
    if (word.startsWith("!")) assert.ok(!found.includes(word.slice(1)), `${who}: ${found.join(",")}`);
    else assert.ok(found.includes(word), `${who} is not ${word}: ${found.join(",")}`);
}

for (const option of names)
  test(`the mount option ${option} does what it says`, { skip }, () => {
    const { self, below, fs, tags } = expectations[option]!;
    for (const name of both.filter((one) => asks(one, option))) {
      const at = (path: string) => seen.get(name)?.findLast(({ mountPoint }) => mountPoint === path);
      const mount = at(`/m/${option}`);
      assert.ok(mount, `${name}: nothing is mounted`);
      says(self, mount.options, name);
      says(fs, mount.superOptions, name);
      if (tags) assert.match(mount.tags.join(" "), tags, name);
      const inner = at(`/m/${option}/below`);
      if (below === "none") assert.equal(inner, undefined, name);
      else if (below) says(below, inner?.options ?? [], `${name}, below`);
    }
  });

test("no mount option of the specification is left out", () => {
  assert.deepEqual([...names].sort(), [...mountOptionNames].sort());
});
