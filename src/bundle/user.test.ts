import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { resolveUser } from "./user.ts";

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1::/usr/sbin:/bin/false
web:x:1000:1001:Web:/home/web:/bin/sh
1234:x:0:0:root in disguise:/:/bin/sh
broken:x:zero:0::/:
empty:x:::/:
`;
const group = `root:x:0:
web:x:1001:
wheel:x:10:web,other
audio:x:29:other
99:x:0:
broken:x:zero:web
`;
const resolve = (spec: string, add: readonly string[] = []) => resolveUser(spec, passwd, group, add);

test("no user is root with root's group", () => {
  assert.deepEqual(resolve(""), { uid: 0, gid: 0, additionalGids: [0], name: "root", home: "/root" });
  assert.deepEqual(resolveUser("", "", ""), { uid: 0, gid: 0, additionalGids: [0] });
});

test("a name brings its group, its memberships and its home, the primary group first", () => {
  assert.deepEqual(resolve("web"), {
    uid: 1000,
    gid: 1001,
    additionalGids: [1001, 10],
    name: "web",
    home: "/home/web",
  });
});

test("a number finds its line, and needs none", () => {
  assert.equal(resolve("1000").gid, 1001);
  assert.deepEqual(resolve("4242"), { uid: 4242, gid: 0, additionalGids: [0] });
});

test("a group in the spec is the only one, by name or number", () => {
  assert.deepEqual(resolve("web:audio").additionalGids, [29]);
  assert.deepEqual(resolve("web:77").additionalGids, [77]);
  assert.deepEqual(resolve(":wheel"), { uid: 0, gid: 10, additionalGids: [10], name: "root", home: "/root" });
});

test("added groups come on top, once each", () => {
  assert.deepEqual(resolve("web", ["audio", "10", "5"]).additionalGids, [1001, 10, 29, 5]);
});

test("what is written as a number is never taken for a name (CVE-2016-3697)", () => {
  assert.deepEqual(resolve("1234"), { uid: 1234, gid: 0, additionalGids: [0] });
  assert.equal(resolve("web:99").gid, 99);
});

test("a number that does not fit is refused, never cut to another one (CVE-2024-40635)", () => {
  for (const spec of ["2147483648", "4294967296", "65536:4294967295", "99999999999999999999", "0:2147483648"])
    assert.throws(() => resolve(spec), /uids and gids must be in range 0-2147483647/, spec);
  assert.equal(resolve("2147483647").uid, 2147483647);
});

test("unknown names fail in docker's words", () => {
  assert.throws(() => resolve("nobody"), /unable to find user nobody: no matching entries in passwd file/);
  assert.throws(
    () => resolve("web:nobody"),
    /unable to find group nobody: no matching entries in group file/,
  );
  for (const spec of ["-1", "+0", "0x0", " 0", "1e3", "broken", "empty"])
    assert.throws(() => resolve(spec), /unable to find user/, spec);
});

test("a malformed line is never read as root, whatever the files hold", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.stringMatching(/^[a-z0-9:]{0,12}$/),
      (anyPasswd, anyGroup, spec) => {
        try {
          const user = resolveUser(spec, anyPasswd, anyGroup);
          assert.equal(user.additionalGids[0], user.gid);
          assert.ok(user.uid >= 0 && user.uid <= 0xfffffffe && user.gid >= 0 && user.gid <= 0xfffffffe);
          const [text] = spec.split(":");
          if (text && /^[0-9]+$/.test(text)) assert.equal(user.uid, Number(text));
        } catch (error) {
          assert.ok(isGantryError(error, "invalid-argument"), String(error));
        }
      },
    ),
    { numRuns: 500 },
  );
});
