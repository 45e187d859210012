import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock: { packages: Readonly<Record<string, LockEntry>> } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../package-lock.json"), "utf8"),
);

test("the lock file names every optional package, since npm ci refuses one that does not", () => {
  // A registry mirror that lacks the packages for other platforms makes npm leave them out of the lock file.
  const missing = Object.values(lock.packages)
    .flatMap((entry) => Object.entries(entry.optionalDependencies ?? {}))
    .filter(([name, version]) => lock.packages[`node_modules/${name}`]?.version !== version);
  assert.deepEqual(missing, []);
});

test("the lock file names no registry host, so that any mirror will do", () => {
  const resolved = Object.values(lock.packages).flatMap((entry) => entry.resolved ?? []);
  assert.deepEqual(resolved, []);
});
