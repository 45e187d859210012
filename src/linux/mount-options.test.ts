import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { mountAttr, mountFlag, mountOptionNames, parseMountOptions } from "./mount-options.ts";

test("all 62 options of the specification are known, and none of them reaches the file system", () => {
  assert.equal(mountOptionNames.length, 62);
  assert.equal(new Set(mountOptionNames).size, 62);
  for (const name of "iversion noiversion lazytime nolazytime loud silent symfollow rnosymfollow rnodev ridmap".split(
    " ",
  ))
    assert.ok(mountOptionNames.includes(name), name);
  assert.deepEqual(parseMountOptions(mountOptionNames).data, []);
});

test("the usual options of /proc, /dev and a bind mount", () => {
  const proc = parseMountOptions(["nosuid", "noexec", "nodev"]);
  assert.equal(proc.attrSet, mountAttr.nosuid | mountAttr.noexec | mountAttr.nodev);
  assert.equal(proc.attrClear, 0);
  const dev = parseMountOptions(["nosuid", "strictatime", "mode=755", "size=65536k"]);
  assert.equal(dev.attrSet, mountAttr.nosuid | mountAttr.strictatime);
  assert.equal(dev.attrClear, mountAttr.atimeField);
  assert.deepEqual(dev.data, ["mode=755", "size=65536k"]);
  const bind = parseMountOptions(["rbind", "rprivate", "ro", "rro"]);
  assert.ok(bind.rbind && !bind.bind);
  assert.deepEqual(bind.propagation, [mountFlag.private | mountFlag.recursive]);
  assert.deepEqual([bind.attrSet, bind.recAttrSet], [mountAttr.readonly, mountAttr.readonly]);
});

test("of two options that contradict each other the later wins", () => {
  const { attrSet, attrClear } = parseMountOptions(["ro", "noexec", "rw", "nodev", "dev"]);
  assert.equal(attrSet, mountAttr.noexec);
  assert.equal(attrClear, mountAttr.readonly | mountAttr.nodev);
  assert.deepEqual(parseMountOptions(["sync", "lazytime", "async"]).sbFlags, ["lazytime"]);
  assert.equal(parseMountOptions(["idmap", "ridmap"]).idmap, "ridmap");
});

test("access time is one of three values, and taking one back gives the kernel's default", () => {
  const value = (...options: string[]) => {
    const { attrSet, attrClear } = parseMountOptions(options);
    assert.equal(attrClear & mountAttr.atimeField, mountAttr.atimeField);
    return attrSet & mountAttr.atimeField;
  };
  assert.equal(value("noatime"), mountAttr.noatime);
  assert.equal(value("noatime", "strictatime"), mountAttr.strictatime);
  for (const option of ["atime", "relatime", "norelatime", "nostrictatime"])
    assert.equal(value("noatime", option), mountAttr.relatime, option);
  assert.equal(parseMountOptions(["nodiratime"]).attrClear, 0);
});

test("what belongs to the file system is passed on in order, empty options are dropped", () => {
  const { data, tmpcopyup, nofollow } = parseMountOptions([
    "size=1m",
    "",
    "tmpcopyup",
    "noswap",
    "src-nofollow",
    "RO",
  ]);
  assert.deepEqual(data, ["size=1m", "noswap", "RO"]);
  assert.ok(tmpcopyup && nofollow);
});

test("any list gives attributes that mount_setattr takes", () => {
  const option = fc.oneof(fc.constantFrom(...mountOptionNames), fc.string());
  fc.assert(
    fc.property(fc.array(option), (options) => {
      const { attrSet, attrClear, recAttrSet, recAttrClear } = parseMountOptions(options);
      for (const [set, clear] of [
        [attrSet, attrClear],
        [recAttrSet, recAttrClear],
      ] as const) {
        assert.equal(set & clear & ~mountAttr.atimeField, 0);
        const atime = clear & mountAttr.atimeField;
        assert.ok(atime === 0 || atime === mountAttr.atimeField);
        if (set & mountAttr.atimeField) assert.equal(atime, mountAttr.atimeField);
      }
    }),
  );
});
