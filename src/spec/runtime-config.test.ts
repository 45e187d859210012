import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { parseRuntimeConfig, parseRuntimeJson } from "./runtime-config.ts";
import { exactJson, int64Limit, parseExactJson, uint64 } from "./runtime-integers.ts";
import { runtimeProcess } from "./runtime-process.ts";

const minimal = { ociVersion: "1.3.0", root: { path: "rootfs" }, process: { cwd: "/", args: ["true"] } };
const parse = (patch: object) => parseRuntimeConfig(JSON.stringify({ ...minimal, ...patch }));

test("a config keeps what it says and loses what nobody knows", () => {
  const config = parse({
    unknown: 1,
    hostname: "h",
    linux: { resources: { memory: { limit: 5, what: 1 } } },
  });
  assert.deepEqual(config, { ...minimal, hostname: "h", linux: { resources: { memory: { limit: 5 } } } });
});

test("null stands for absent, as Go programs write it", () => {
  assert.deepEqual(parse({ mounts: null, hooks: null, linux: null, annotations: null }), minimal);
});

test("versions 1.x are understood, pre-releases too, others are refused", () => {
  for (const ociVersion of ["1.0.0", "1.0.2-dev", "1.0.0-rc2-dev", "1.3.0+dev", "1.9.9"])
    assert.equal(parse({ ociVersion }).ociVersion, ociVersion);
  for (const ociVersion of ["2.0.0", "0.9.0"]) assert.throws(() => parse({ ociVersion }), /only 1\.x is/);
  for (const ociVersion of ["1", "1.0", "x", ""])
    assert.throws(() => parse({ ociVersion }), /is not a semantic version/);
});

const wrong: readonly (readonly [patch: object, message: RegExp])[] = [
  [{ ociVersion: undefined }, /\/ociVersion: is required/],
  [{ root: {} }, /\/root\/path: is required/],
  [{ process: { args: ["x"] } }, /\/process\/cwd: is required/],
  [{ process: { cwd: "tmp" } }, /\/process\/cwd: "tmp" is not an absolute path/],
  [{ process: { cwd: "/", args: "true" } }, /\/process\/args: expected an array, found string/],
  [{ process: { cwd: "/", args: [1] } }, /\/process\/args\/0: expected a string/],
  [{ process: { cwd: "/", args: ["a\0b"] } }, /\/process\/args\/0: .*NUL/],
  [{ process: { cwd: "/", user: { uid: -1 } } }, /\/process\/user\/uid: -1 is out of range/],
  [{ process: { cwd: "/", user: { uid: 4294967295 } } }, /\/process\/user\/uid: 4294967295 is out of range/],
  [{ process: { cwd: "/", user: { gid: 1.5 } } }, /\/process\/user\/gid: expected an integer/],
  [{ process: { cwd: "/", oomScoreAdj: 1001 } }, /\/process\/oomScoreAdj: 1001 is out of range/],
  [{ process: { cwd: "/", rlimits: [{ type: "NOFILE", soft: 1, hard: 1 }] } }, /\/process\/rlimits\/0\/type/],
  [
    { process: { cwd: "/", rlimits: [1, 2].map((soft) => ({ type: "RLIMIT_CPU", soft, hard: 3 })) } },
    /\/process\/rlimits\/1\/type: RLIMIT_CPU is given twice/,
  ],
  [{ hooks: { prestart: [{ path: "hook" }] } }, /\/hooks\/prestart\/0\/path: "hook" is not an absolute path/],
  [{ hooks: { poststop: [{ path: "/h", timeout: 0 }] } }, /\/hooks\/poststop\/0\/timeout: 0 is out of range/],
  [{ annotations: { "": "x" } }, /\/annotations: the key of an annotation must not be empty/],
  [{ mounts: [{}] }, /\/mounts\/0\/destination: is required/],
  [{ linux: { namespaces: [{ type: "disk" }] } }, /\/linux\/namespaces\/0\/type: "disk" is not one of/],
  [{ linux: { devices: [{ type: "x", path: "/d" }] } }, /\/linux\/devices\/0\/type/],
  [
    { linux: { resources: { unified: { "../memory.max": "1" } } } },
    /\/linux\/resources\/unified\/.*cgroup file/,
  ],
  [
    { linux: { resources: { hugepageLimits: [{ pageSize: "2mb", limit: 1 }] } } },
    /hugepageLimits\/0\/pageSize/,
  ],
  [{ linux: { seccomp: { defaultAction: "ALLOW" } } }, /\/linux\/seccomp\/defaultAction/],
  [
    {
      linux: {
        seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: [], action: "SCMP_ACT_KILL" }] },
      },
    },
    /syscalls\/0\/names: needs at least one name/,
  ],
  [
    { linux: { timeOffsets: { boottime: { nanosecs: 1e9 } } } },
    /boottime\/nanosecs: 1000000000 is out of range/,
  ],
  [{ linux: { sysctl: { "net.x": 1 } } }, /\/linux\/sysctl\/net\.x: expected a string, found number/],
];

for (const [patch, message] of wrong)
  test(`${JSON.stringify(patch).slice(0, 90)} is refused with its pointer`, () => {
    assert.throws(
      () => parse(patch),
      (error) =>
        isGantryError(error, "invalid-argument") &&
        message.test(error.message) &&
        typeof error.detail.pointer === "string",
    );
  });

test("numbers of 64 bits stay exact where every bit counts, and are cut where they are limits", () => {
  const text = `{"ociVersion":"1.3.0","process":{"cwd":"/","rlimits":[{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}]},"linux":{"resources":{"memory":{"limit":9223372036854775807}},"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":18446744069414584321,"op":"SCMP_CMP_EQ"}]}]}}}`;
  const config = parseRuntimeConfig(text);
  assert.equal(config.process?.rlimits?.[0]?.hard, 2n ** 64n - 1n);
  assert.equal(config.linux?.seccomp?.syscalls?.[0]?.args?.[0]?.value, 18446744069414584321n);
  assert.equal(config.linux?.resources?.memory?.limit, Number.MAX_SAFE_INTEGER);
  assert.throws(
    () => parseRuntimeConfig(text.replace("9223372036854775807", "9223372036854775808")),
    /memory\/limit.*out of range/,
  );
});

test("exact JSON goes both ways", () => {
  fc.assert(
    fc.property(fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n), fc.string(), (number, text) => {
      const value = {
        number: Number.isSafeInteger(Number(number)) ? Number(number) : number,
        text,
        list: [text],
      };
      assert.deepEqual(parseExactJson(exactJson(value)), value);
    }),
  );
  assert.throws(() => uint64(2n ** 64n, "/x"), /out of range/);
  assert.throws(() => uint64(1.5, "/x"), /expected an integer, found 1.5/);
  assert.throws(() => int64Limit("1", "/x"), /expected an integer, found string/);
});

test("a config above the limit, or that is no UTF-8, is refused before it is parsed", () => {
  assert.throws(
    () => parseRuntimeConfig(" ".repeat(9 << 20)),
    (error) => isGantryError(error, "resource-exhausted"),
  );
  assert.throws(() => parseRuntimeConfig(Buffer.from([0x7b, 0xff])), /not UTF-8 text/);
  assert.throws(() => parseRuntimeConfig("{"), /parse config\.json/);
  assert.throws(
    () => parseRuntimeJson("{}", runtimeProcess, "process file"),
    /parse process file: \/cwd: is required/,
  );
});

test("any JSON is decoded or refused as invalid-argument, never anything else", () => {
  const member = fc.constantFrom(
    "ociVersion",
    "root",
    "process",
    "mounts",
    "hooks",
    "linux",
    "annotations",
    "args",
    "cwd",
    "resources",
    "seccomp",
    "namespaces",
  );
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.dictionary(member, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 4 }),
    fc.array(fc.dictionary(member, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }), { maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.dictionary(member, value, { maxKeys: 5 }), (document) => {
      try {
        parseRuntimeConfig(JSON.stringify({ ociVersion: "1.3.0", ...document }));
      } catch (error) {
        assert.ok(isGantryError(error, "invalid-argument"), String(error));
      }
    }),
    { numRuns: 300 },
  );
});
