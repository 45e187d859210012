import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { formatPlatform, normalizePlatform, parsePlatform, platformDistance } from "./platform.ts";

test("platforms are read with docker's shorthands", () => {
  for (const [written, complete] of [
    ["linux/amd64", "linux/amd64"],
    ["amd64", "linux/amd64"],
    ["x86_64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/v6", "linux/arm/v6"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["Linux/AMD64", "linux/amd64"],
    ["windows/amd64", "windows/amd64"],
  ] as const)
    assert.equal(formatPlatform(parsePlatform(written)), complete, written);
});

test("what is no platform is refused", () => {
  for (const text of [
    "",
    "linux",
    "/",
    "linux/",
    "a/b/c/d",
    "vax",
    "linux/am d64",
    `linux/${"a".repeat(65)}`,
  ])
    assert.throws(
      () => parsePlatform(text),
      (error) => isGantryError(error, "invalid-argument"),
      text,
    );
});

test("a machine runs its own level and those below, nearest first", () => {
  const distance = (wanted: string, have: string) =>
    platformDistance(parsePlatform(wanted), parsePlatform(have));
  assert.equal(distance("linux/amd64", "linux/amd64"), 0);
  assert.equal(distance("linux/amd64", "linux/amd64/v2"), undefined);
  assert.equal(distance("linux/amd64/v3", "linux/amd64/v2"), 1);
  assert.equal(distance("linux/amd64/v3", "linux/amd64"), 2);
  assert.equal(distance("linux/arm/v7", "linux/arm/v6"), 1);
  assert.equal(distance("linux/arm/v6", "linux/arm/v7"), undefined);
  assert.ok(distance("linux/arm64", "linux/arm/v7")! > distance("linux/arm64", "linux/arm64")!);
  assert.equal(distance("linux/arm", "linux/arm64"), undefined);
  assert.equal(distance("linux/amd64", "windows/amd64"), undefined);
  assert.equal(distance("linux/amd64", "linux/386"), undefined);
  assert.equal(distance("linux/riscv64", "linux/riscv64"), 0);
});

test("an image of unknown variant serves any machine of its architecture whose levels are unknown, too", () => {
  const exotic = { os: "linux", architecture: "mips64le" };
  assert.equal(platformDistance({ ...exotic, variant: "hardfloat" }, exotic), 1);
  assert.equal(platformDistance(exotic, { ...exotic, variant: "hardfloat" }), undefined);
});

test("normalizing twice changes nothing, and every platform serves itself", () => {
  const word = fc.oneof(
    fc.constantFrom("arm", "arm64", "amd64", "x86_64", "armhf", "riscv64", "386"),
    fc.stringMatching(/^[a-z0-9_]{1,8}$/),
  );
  const platforms = fc.record(
    {
      os: fc.constantFrom("linux", "windows", "macos"),
      architecture: word,
      variant: fc.stringMatching(/^v?\d(?:\.\d)?$/),
    },
    { requiredKeys: ["os", "architecture"] },
  );
  fc.assert(
    fc.property(platforms, (platform) => {
      const once = normalizePlatform(platform);
      assert.deepEqual(normalizePlatform(once), once);
      assert.equal(platformDistance(platform, once), 0);
    }),
  );
});
