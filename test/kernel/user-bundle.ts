/**
 * Bundles of a user without privileges. The user and its subordinate ids stand in files that only a mount namespace of
 * the test's own shows.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { removeTree } from "../../src/base/remove-tree.ts";
import { type CommandOptions, command, must, type Outcome } from "../lib/command.ts";
import { makeBusyboxTree } from "../lib/fixtures.ts";
import { needs, programPath } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { firstSubId, makeUser, subIds, type TestUser, uid, userNeeds } from "../lib/user.ts";
import { type Json, merge } from "./bundle.ts";

export type RuntimeName = "gantry-oci" | "runc" | "crun";
export const all = ["runc", "crun", "gantry-oci"] as const;
export const skip = needs(...userNeeds, "runc", "crun", "/bin/busybox", gantryOciProgram);

/** Maps as a user with subordinate ids has them. */
export const wide = {
  uidMappings: [
    { containerID: 0, hostID: uid, size: 1 },
    { containerID: 1, hostID: firstSubId, size: subIds },
  ],
  gidMappings: [
    { containerID: 0, hostID: uid, size: 1 },
    { containerID: 1, hostID: firstSubId, size: subIds },
  ],
};

// crun 1.8 takes no hybrid layout of cgroups: its user has none of v2
const users: Partial<Record<RuntimeName, Promise<TestUser>>> = {};

function userOf(name: RuntimeName): Promise<TestUser> {
  const known = users[name] ?? makeUser(name === "crun" ? "umount /sys/fs/cgroup/unified || true" : "");
  users[name] = known;
  return known;
}

export async function releaseUsers(): Promise<void> {
  for (const name of all) {
    await (await users[name])?.[Symbol.asyncDispose]();
    delete users[name];
  }
}

export interface CallOptions extends CommandOptions {
  /** Directories of cgroups from which the runtime is called. */
  readonly groups?: readonly string[];
}

export interface Bundle {
  readonly user: TestUser;
  /** Path of the runtime. */
  readonly program: string;
  readonly path: string;
  readonly id: string;
  config: Json;
  /** A verb of the runtime, as the user. */
  verb(args: readonly string[], options?: CallOptions): Promise<Outcome>;
  /** `run` in the foreground. */
  run(options?: CallOptions): Promise<Outcome>;
}

let counter = 0;

/** What `spec --rootless` of each writes for the user. */
const specs = new Map<RuntimeName, Json>();

/** A bundle of the user's own, with the config that `spec --rootless` writes, patched. */
export async function withBundle(
  name: RuntimeName,
  script: string,
  patch: Json,
  body: (bundle: Bundle) => Promise<void>,
): Promise<void> {
  const user = await userOf(name);
  const program = name === "gantry-oci" ? user.gantryOci : programPath(name)!;
  const path = mkdtempSync(join(user.home, "bundle-"));
  const id = `gantrytest-${process.pid}-${++counter}`;
  try {
    mkdirSync(join(path, "rootfs"));
    await makeBusyboxTree(join(path, "rootfs"));
    await must(["chown", "-R", `${uid}:${uid}`, path]);
    const verb: Bundle["verb"] = (args, options) =>
      command([...user.enter(options?.groups), program, ...args], options);
    let written = specs.get(name);
    if (written === undefined) {
      const spec = await verb(["spec", "--rootless", "--bundle", path]);
      assert.equal(spec.code, 0, spec.stderr);
      written = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as Json;
      specs.set(name, written);
    }
    const process1 = { terminal: false, args: ["sh", "-c", script] };
    const config = merge(merge(written, { process: process1, root: { readonly: false } }), patch);
    writeFileSync(join(path, "config.json"), JSON.stringify(config));
    const run: Bundle["run"] = (options) => verb(["run", "--bundle", path, id], options);
    try {
      await body({ user, program, path, id, config, verb, run });
    } finally {
      if (existsSync(join(user.home, "run", name, id))) await verb(["delete", "--force", id]);
    }
  } finally {
    removeTree(path);
  }
}

/** Declares one test for each runtime. */
export function each(
  title: string,
  script: string,
  patch: Json,
  body: (bundle: Bundle, name: RuntimeName) => Promise<void>,
  names: readonly RuntimeName[] = all,
): void {
  for (const name of names)
    test(`${name}, as a user: ${title}`, { skip }, () =>
      withBundle(name, script, patch, (bundle) => body(bundle, name)),
    );
}

/** All text of an outcome that failed. */
export function failure({ code, stdout, stderr }: Outcome): string {
  assert.notEqual(code, 0, stdout);
  return stderr;
}

/** The cgroups of the host are seen through no namespace. */
export const noCgroupNamespace = ["pid", "ipc", "uts", "mount", "user"].map((type) => ({ type }));
