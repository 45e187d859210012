import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test from "node:test";
import { cloneFlags, isNamespaceKind, namespaceKinds, namespaces } from "./namespaces.ts";
import { parseRlimit, rlimInfinity, rlimitNames, rlimitNumber } from "./rlimits.ts";

test("there are eight kinds, each with a file in /proc and a clone flag of its own", () => {
  assert.equal(namespaceKinds.length, 8);
  assert.equal(new Set(namespaceKinds.map((kind) => namespaces[kind].cloneFlag)).size, 8);
  for (const kind of namespaceKinds)
    for (const name of [namespaces[kind].procName, namespaces[kind].procChildrenName])
      if (existsSync("/proc/self/ns/time")) assert.ok(existsSync(`/proc/self/ns/${name}`), name);
});

test("flags of several kinds add up to an unsigned number", () => {
  assert.equal(cloneFlags(namespaceKinds), 0x7e020080);
  assert.equal(cloneFlags(["pid", "network"]), 0x60000000);
  assert.equal(cloneFlags([]), 0);
  assert.ok(isNamespaceKind("uts"));
  assert.ok(!isNamespaceKind("toString"));
});

test("resource limits have the numbers of the kernel and the short names of --ulimit", () => {
  assert.equal(rlimitNames.length, 16);
  assert.equal(rlimitNumber("RLIMIT_NOFILE"), 7);
  assert.equal(rlimitNumber("RLIMIT_RTTIME"), 15);
  assert.equal(rlimitNumber("NOFILE"), undefined);
  assert.equal(parseRlimit("nofile"), "RLIMIT_NOFILE");
  assert.equal(parseRlimit("rlimit_core"), "RLIMIT_CORE");
  assert.equal(parseRlimit("files"), undefined);
  assert.equal(rlimInfinity, 18446744073709551615n);
});
