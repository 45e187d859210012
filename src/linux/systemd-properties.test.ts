import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { type DeviceRule, parseDeviceRule } from "./devices.ts";
import type { LinuxDeviceCgroup, LinuxResources } from "./resources.ts";
import { annotationProperties } from "./systemd-annotations.ts";
import { cpuSetBytes } from "./systemd-cpu-set.ts";
import { deviceProperties } from "./systemd-devices.ts";
import {
  changedProperties,
  commonProperties,
  oomProperties,
  resourceProperties,
  type UnitProperty,
} from "./systemd-properties.ts";

const infinity = (1n << 64n) - 1n;

/** name -> "signature value" */
function plain(properties: readonly UnitProperty[]): Record<string, unknown> {
  return Object.fromEntries(properties.map(({ name, value }) => [name, value]));
}

const resources = (value: LinuxResources, version = 252) => plain(resourceProperties(value, version));

test("limits become properties with runc's values", () => {
  assert.deepEqual(
    resources({
      memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
      cpu: { shares: 1024, quota: 25000, period: 50000, cpus: "0-1", mems: "0" },
      pids: { limit: 17 },
      blockIO: { weight: 500 },
    }),
    {
      MemoryMax: 64n << 20n,
      MemoryLow: 32n << 20n,
      MemorySwapMax: 32n << 20n,
      CPUWeight: 100n,
      CPUQuotaPeriodUSec: 50000n,
      CPUQuotaPerSecUSec: 500000n,
      AllowedCPUs: [3],
      AllowedMemoryNodes: [1],
      TasksMax: 17n,
      IOWeight: 4950n,
    },
  );
});

test("-1 is no limit, 0 is not set, and no process at all is one", () => {
  assert.deepEqual(resources({ memory: { limit: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } }), {
    MemoryMax: infinity,
    MemorySwapMax: infinity,
    CPUQuotaPerSecUSec: infinity,
    TasksMax: infinity,
  });
  assert.deepEqual(resources({ memory: { limit: 0 }, cpu: { shares: 0, quota: 0 } }), {});
  assert.deepEqual(resources({ pids: { limit: 0 } }), { TasksMax: 1n });
});

test("a share of a percent of a processor is rounded up", () => {
  assert.equal(resources({ cpu: { quota: 12345, period: 100000 } }).CPUQuotaPerSecUSec, 130000n);
  assert.equal(resources({ cpu: { quota: 1 } }).CPUQuotaPerSecUSec, 10000n);
});

test("an older systemd is not told what it does not know", () => {
  const wanted = { cpu: { idle: 1, shares: 1024, quota: 1000, period: 10000, cpus: "0" } };
  assert.deepEqual(Object.keys(resources(wanted, 241)), ["CPUWeight", "CPUQuotaPerSecUSec"]);
  assert.equal(resources(wanted, 251).CPUWeight, 100n);
  assert.equal(resources(wanted, 252).CPUWeight, 0n);
  const group = { unified: { "memory.oom.group": "1" } };
  assert.deepEqual(plain(oomProperties(group, 252)), {});
  assert.deepEqual(plain(oomProperties(group, 253)), { OOMPolicy: "kill" });
});

test("raw v2 files win over the rest, where systemd knows them", () => {
  assert.deepEqual(
    resources({
      memory: { limit: 1 << 20 },
      unified: {
        "memory.max": "2M",
        "memory.high": "max",
        "memory.swap.max": "0",
        "cpu.max": "max 50000",
        "cpuset.cpus": "9",
        "io.weight": "default 77",
        "hugetlb.2MB.max": "0",
      },
    }),
    {
      MemoryMax: 2n << 20n,
      MemoryHigh: infinity,
      MemorySwapMax: 0n,
      CPUQuotaPeriodUSec: 50000n,
      CPUQuotaPerSecUSec: infinity,
      AllowedCPUs: [0, 2],
      IOWeight: 77n,
    },
  );
  assert.throws(
    () => resources({ unified: { "cpu.max": "a b" } }),
    (error) => isGantryError(error, "invalid-argument") && error.detail.pointer === "/unified/cpu.max",
  );
});

test("devices have their limits by number", () => {
  const device = { major: 8, minor: 0 };
  assert.deepEqual(
    resources({
      blockIO: {
        weightDevice: [{ ...device, weight: 10 }],
        throttleReadBpsDevice: [{ ...device, rate: 1024 }],
      },
    }),
    { IODeviceWeight: [["/dev/block/8:0", 1n]], IOReadBandwidthMax: [["/dev/block/8:0", 1024n]] },
  );
});

test("a change sets back what there is no more, and empties lists first", () => {
  const blockIO = { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 5 }] };
  const from = resourceProperties(
    { memory: { limit: 1 << 20, reservation: 1 << 20 }, cpu: { cpus: "0", shares: 2 }, blockIO },
    252,
  );
  const to = resourceProperties({ memory: { limit: 2 << 20 }, blockIO }, 252);
  const read = [["/dev/block/8:0", 5n]];
  assert.deepEqual(
    changedProperties(from, to).map(({ name, value }) => [name, value]),
    [
      ["MemoryLow", 0n],
      ["CPUWeight", infinity],
      ["AllowedCPUs", []],
      ["MemoryMax", 2n << 20n],
      ["IOReadBandwidthMax", []],
      ["IOReadBandwidthMax", read],
    ],
  );
});

test("a scope is delegated and holds the process, a slice is neither", () => {
  const scope = plain(commonProperties({ kind: "scope", slice: "a.slice" }, "text", 7));
  assert.deepEqual(scope.PIDs, [7]);
  assert.equal(scope.Slice, "a.slice");
  assert.equal(scope.Delegate, true);
  assert.equal(scope.DefaultDependencies, false);
  const slice = plain(commonProperties({ kind: "slice", slice: "a.slice" }, "text", 7));
  assert.deepEqual(slice.Wants, ["a.slice"]);
  assert.ok(!("PIDs" in slice) && !("Delegate" in slice));
});

test("lists of processors become masks", () => {
  assert.deepEqual(cpuSetBytes("0-3,8", ""), [15, 1]);
  assert.deepEqual(cpuSetBytes(" 1 , 0\n", ""), [3]);
  for (const list of ["3-1", "x", "", "0-99999", "-1"])
    assert.throws(
      () => cpuSetBytes(list, ""),
      (error) => isGantryError(error, "invalid-argument"),
      list,
    );
});

const parsed = (...rules: readonly LinuxDeviceCgroup[]) => rules.map(parseDeviceRule);
const none: LinuxDeviceCgroup = { allow: false };
const policy = (...rules: readonly LinuxDeviceCgroup[]) => plain(deviceProperties(parsed(...rules)));

test("a list of allowed devices is said to systemd as one", () => {
  assert.deepEqual(
    policy(
      none,
      { allow: true, type: "c", major: 1, minor: 3, access: "rw" },
      { allow: true, type: "c", major: 1, minor: 3, access: "m" },
      { allow: true, type: "c", major: 136, access: "rwm" },
      { allow: true, access: "m" },
      { allow: true, type: "b", major: 8, minor: 0, access: "rwm" },
      { allow: false, type: "b", major: 8, access: "w" },
    ),
    {
      DevicePolicy: "strict",
      DeviceAllow: [
        ["/dev/char/1:3", "rwm"],
        ["char-136", "rwm"],
        ["block-*", "m"],
        ["char-*", "m"],
        ["/dev/block/8:0", "rm"],
      ],
    },
  );
});

test("what is no list is left to our program alone", () => {
  const open = { DevicePolicy: "auto", DeviceAllow: [] };
  assert.deepEqual(policy({ allow: true }), open);
  assert.deepEqual(policy({ allow: true }, { allow: false, type: "c", major: 1, minor: 1 }), open);
  assert.deepEqual(
    policy(none, { allow: true, type: "c", major: 1 }, { allow: false, type: "c", major: 1, minor: 1 }),
    open,
  );
  assert.deepEqual(policy(none, { allow: true, type: "c", minor: 3 }), open);
});

/** What a list lets through. */
function listAllows(list: readonly (readonly string[])[], type: string, major: number, minor: number) {
  const name = type === "b" ? "block" : "char";
  return list
    .filter(([pattern]) =>
      [`${name}-*`, `${name}-${major}`, `/dev/${name}/${major}:${minor}`].includes(pattern!),
    )
    .map(([, letters]) => letters!)
    .join("");
}

/** What the rules let through: the last that matches counts, access by access. */
function rulesAllow(rules: readonly DeviceRule[], type: string, major: number, minor: number, bit: number) {
  const matching = rules.filter(
    (rule) =>
      (rule.type === "a" || rule.type === type) &&
      (rule.major ?? major) === major &&
      (rule.minor ?? minor) === minor &&
      (rule.access & bit) !== 0,
  );
  return matching.at(-1)?.allow ?? false;
}

test("the list lets through what the rules do, neither more nor less", () => {
  const rule = fc.record({
    allow: fc.boolean(),
    type: fc.constantFrom("a", "b", "c"),
    major: fc.constantFrom(-1, 1, 2),
    minor: fc.constantFrom(-1, 1, 2),
    access: fc.constantFrom("r", "w", "m", "rw", "rwm"),
  });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), (rules) => {
      const all = parsed(none, ...rules);
      const { DevicePolicy, DeviceAllow } = plain(deviceProperties(all));
      if (DevicePolicy === "auto") return;
      for (const type of ["b", "c"])
        for (const major of [1, 2, 3])
          for (const minor of [1, 2, 3])
            for (const [letter, bit] of Object.entries({ m: 1, r: 2, w: 4 }))
              assert.equal(
                listAllows(DeviceAllow as string[][], type, major, minor).includes(letter),
                rulesAllow(all, type, major, minor, bit),
                `${type} ${major}:${minor} ${letter}`,
              );
    }),
    { numRuns: 1000 },
  );
});

const annotated = (name: string, text: string) =>
  annotationProperties({ [`org.systemd.property.${name}`]: text, "other.annotation": "x" });

test("annotations become properties with their types", () => {
  assert.deepEqual(annotated("CollectMode", "'inactive-or-failed'"), [
    { name: "CollectMode", signature: "s", value: "inactive-or-failed" },
  ]);
  assert.deepEqual(annotated("TimeoutStopUSec", "uint64 123"), [
    { name: "TimeoutStopUSec", signature: "t", value: 123n },
  ]);
  assert.deepEqual(annotated("After", "['a.service', \"b.service\"]")[0]?.value, ["a.service", "b.service"]);
  assert.deepEqual(annotated("After", "@as []")[0], { name: "After", signature: "as", value: [] });
  assert.equal(annotated("SendSIGHUP", " true ")[0]?.value, true);
  assert.deepEqual(annotated("IODeviceWeight", "[('/dev/sda', uint64 5)]")[0]?.signature, "a(st)");
  assert.deepEqual(annotated("IODeviceWeight", "@a(st) [('/dev/sda', 5)]")[0]?.value, [["/dev/sda", 5n]]);
});

test("seconds become the microseconds that D-Bus has", () => {
  for (const text of ["5", "uint64 5", "5.0"])
    assert.deepEqual(annotated("TimeoutStopSec", text), [
      { name: "TimeoutStopUSec", signature: "t", value: 5_000_000n },
    ]);
});

test("a property that reaches beyond the unit is refused by name", () => {
  const names = ["OnFailure", "Requires", "SuccessAction", "FailureAction", "JobTimeoutAction", "BindsTo"];
  names.push(
    "ExecStart",
    "Slice",
    "PIDs",
    "Delegate",
    "DeviceAllow",
    "DevicePolicy",
    "__proto__",
    "toString",
  );
  for (const name of names)
    assert.throws(
      () => annotated(name, "'x'"),
      (error) =>
        isGantryError(error, "invalid-argument") &&
        error.message.includes(`org.systemd.property.${name}: this property of a unit may not be set`) &&
        error.detail.pointer === `/annotations/org.systemd.property.${name}`,
      name,
    );
});

test("text that is no value is refused with the reason", () => {
  const reasons: Readonly<Record<string, RegExp>> = {
    "'open": /does not end/,
    "uint64 -1": /out of range/,
    "byte 300": /out of range/,
    "['a' 'b']": /comma is missing/,
    "[]": /empty array needs its type/,
    "['a', 1]": /not of type s/,
    "1 2": /left over/,
    "@a{sv} []": /not supported|left over|stands where/,
    "{'a': 1}": /value is missing/,
    "<1>": /value is missing/,
    "'a\\u0000'": /escape is none/,
    "": /value is missing/,
    [`${"[".repeat(20)}`]: /nested too deeply/,
    [`'${"x".repeat(5000)}'`]: /longer than/,
  };
  for (const [text, reason] of Object.entries(reasons))
    assert.throws(
      () => annotated("CollectMode", text),
      (error) => isGantryError(error, "invalid-argument") && reason.test(error.message),
      text,
    );
  assert.throws(() => annotated("CollectMode", "5"), /is of type i, systemd wants s/);
});

test("no text breaks the parser", () => {
  const piece = fc.constantFrom(
    "[",
    "]",
    "(",
    ")",
    "'",
    '"',
    ",",
    "@as",
    "uint64",
    "5",
    "-",
    "\\",
    " ",
    "true",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((parts) => parts.join("")),
      ),
      (text) => {
        try {
          annotated("After", text);
        } catch (error) {
          assert.ok(isGantryError(error, "invalid-argument"), String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
