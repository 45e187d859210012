import assert from "node:assert/strict";
import test from "node:test";
import { mapXattr } from "./xattr-owners.ts";

const shift = (id: number) => id + 200_000;
const back = (id: number) => id - 200_000;
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

test("file capabilities name the root of their namespace, and that of the host by leaving it out", () => {
  const plain = { name: "security.capability", value: hex("01000002 00040000 00000000 00000000 00000000") };
  const mapped = mapXattr(plain, shift, shift);
  assert.deepEqual(Buffer.from(mapped.value), hex("01000003 00040000 00000000 00000000 00000000 400d0300"));
  assert.deepEqual(Buffer.from(mapXattr(mapped, back, back).value), plain.value);
});

test("access control lists have the ids of their users and groups mapped, and nothing else", () => {
  const list =
    "02000000 01000600ffffffff 0200060005000000 04000400ffffffff 0800040006000000 10000600ffffffff";
  const value = hex(list);
  const mapped = mapXattr(
    { name: "system.posix_acl_access", value },
    (id) => id + 1,
    (id) => id + 2,
  );
  assert.equal(
    Buffer.from(mapped.value).toString("hex"),
    hex(list.replace("05000000", "06000000").replace("0800040006000000", "0800040008000000")).toString("hex"),
  );
});

test("what is of no known form, or names nobody, stays as it is", () => {
  for (const name of ["security.capability", "system.posix_acl_default", "user.note", "trusted.note"])
    for (const text of ["", "00", "01000001 00000000", "ff".repeat(20), "ff".repeat(24), "02000000 01"]) {
      const value = hex(text);
      assert.deepEqual(Buffer.from(mapXattr({ name, value }, shift, shift).value), value, `${name} ${text}`);
    }
});
