import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { compileDeviceFilter } from "./device-filter.ts";
import {
  deviceAccess,
  deviceWritesV1,
  dockerDeviceRules,
  parseDeviceRule,
  runtimeDeviceRules,
} from "./devices.ts";
import type { LinuxDeviceCgroup } from "./resources.ts";

interface Request {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly access: number;
}

/** Runs an eBPF program of the few instructions that device filters use, over struct bpf_cgroup_dev_ctx. */
function run(program: Uint8Array, { type, major, minor, access }: Request): number {
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const context = [((access << 16) | (type === "b" ? 1 : 2)) >>> 0, major, minor];
  const registers = new Array<bigint>(11).fill(0n);
  const written = new Set([1]);
  const get = (register: number) => {
    assert.ok(written.has(register), `register ${register} is read before it is written`);
    return registers[register]!;
  };
  const set = (register: number, value: bigint) => {
    written.add(register);
    registers[register] = BigInt.asUintN(64, value);
  };
  for (let pc = 0, steps = 0; ; pc++) {
    assert.ok(pc * 8 < program.length && steps++ < 10000, "the program does not end");
    const target = program[pc * 8 + 1]! & 15;
    const source = program[pc * 8 + 1]! >> 4;
    const offset = code.getInt16(pc * 8 + 2, true);
    const immediate = BigInt(code.getInt32(pc * 8 + 4, true));
    switch (program[pc * 8]) {
      case 0x61:
        assert.equal(source, 1, "loads are from the context");
        set(target, BigInt(context[offset / 4]!));
        break;
      case 0xb7:
        set(target, immediate);
        break;
      case 0xbf:
        set(target, get(source));
        break;
      case 0x57:
        set(target, get(target) & immediate);
        break;
      case 0x77:
        set(target, get(target) >> immediate);
        break;
      case 0x55:
        if (get(target) !== BigInt.asUintN(64, immediate)) pc += offset;
        break;
      case 0x15:
        if (get(target) === BigInt.asUintN(64, immediate)) pc += offset;
        break;
      case 0x5d:
        if (get(target) !== get(source)) pc += offset;
        break;
      case 0x95:
        return Number(get(0));
      default:
        assert.fail(`opcode 0x${program[pc * 8]!.toString(16)}`);
    }
  }
}

/** The meaning of the rules, said plainly. */
function model(rules: readonly LinuxDeviceCgroup[], request: Request): number {
  for (const [i, raw] of [...rules.entries()].reverse()) {
    const rule = parseDeviceRule(raw, i);
    const covers = rule.allow ? (request.access & ~rule.access) === 0 : (request.access & rule.access) !== 0;
    if (
      covers &&
      (rule.type === "a" || rule.type === request.type) &&
      (rule.major === undefined || rule.major === request.major) &&
      (rule.minor === undefined || rule.minor === request.minor)
    )
      return rule.allow ? 1 : 0;
  }
  return 0;
}

const { mknod, read, write } = deviceAccess;

test("Docker's rules let the standard devices in and others out", () => {
  const program = compileDeviceFilter([...dockerDeviceRules, ...runtimeDeviceRules]);
  const ask = (type: "b" | "c", major: number, minor: number, access: number) =>
    run(program, { type, major, minor, access });
  assert.equal(ask("c", 1, 3, read | write), 1, "/dev/null");
  assert.equal(ask("c", 136, 7, read | write), 1, "/dev/pts/7");
  assert.equal(ask("c", 10, 229, read | write), 0, "/dev/fuse");
  assert.equal(ask("c", 10, 229, mknod), 1, "making a node is free");
  assert.equal(ask("b", 8, 0, mknod), 1);
  assert.equal(ask("b", 8, 0, read), 0);
  assert.equal(ask("c", 1, 1, read), 0, "/dev/mem");
});

test("no rule denies, one rule for all allows all", () => {
  const request = { type: "c", major: 1, minor: 3, access: read } as const;
  assert.equal(run(compileDeviceFilter([]), request), 0);
  assert.equal(run(compileDeviceFilter([{ allow: true }]), request), 1);
  assert.equal(
    run(compileDeviceFilter([{ allow: true, type: "a", access: "rwm" }, { allow: false }]), request),
    0,
  );
});

test("a rule that denies writing stops an open for reading and writing", () => {
  const program = compileDeviceFilter([{ allow: true }, { allow: false, type: "b", major: 8, access: "w" }]);
  const ask = (access: number) => run(program, { type: "b", major: 8, minor: 1, access });
  assert.deepEqual([ask(read), ask(write), ask(read | write)], [1, 0, 0]);
});

test("any rules compile to what they mean", () => {
  const number = fc.option(fc.constantFrom(-1, 0, 1, 3, 8, 4095, 0x7fffffff), { nil: undefined });
  const rule: fc.Arbitrary<LinuxDeviceCgroup> = fc.record({
    allow: fc.boolean(),
    type: fc.constantFrom(undefined, "", "a", "b", "c"),
    major: number,
    minor: number,
    access: fc.constantFrom(undefined, "", "r", "w", "m", "rw", "rm", "wm", "rwm"),
  });
  const request: fc.Arbitrary<Request> = fc.record({
    type: fc.constantFrom("b", "c"),
    major: fc.constantFrom(0, 1, 3, 8, 4095, 0x7fffffff),
    minor: fc.constantFrom(0, 1, 3, 8, 4095, 0x7fffffff),
    access: fc.constantFrom(1, 2, 4, 6, 7),
  });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 12 }), fc.array(request, { minLength: 1 }), (rules, requests) => {
      const program = compileDeviceFilter(rules);
      for (const one of requests) assert.equal(run(program, one), model(rules, one));
    }),
    { numRuns: 500 },
  );
});

test("v1 lines are those of the devices controller, from the last rule for all on", () => {
  assert.deepEqual(
    deviceWritesV1([
      { allow: true, type: "c", major: 9, minor: 9, access: "r" },
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
      { allow: true, type: "b", access: "m" },
      { allow: true, type: "a", major: 7, access: "wr" },
    ]),
    [
      { file: "devices.deny", value: "a *:* rwm" },
      { file: "devices.allow", value: "c 1:3 rwm" },
      { file: "devices.allow", value: "b *:* m" },
      { file: "devices.allow", value: "b 7:* rw" },
      { file: "devices.allow", value: "c 7:* rw" },
    ],
  );
});

test("malformed rules are refused with their place", () => {
  for (const rule of [{ type: "x" }, { access: "rwx" }, { major: 2 ** 31 }])
    assert.throws(
      () => compileDeviceFilter([{ allow: true }, { allow: true, ...rule }]),
      (error) => isGantryError(error, "invalid-argument") && error.detail.pointer === "/devices/1",
    );
});
