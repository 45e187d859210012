/**
 * Engines of others that call an OCI runtime, and the suites over them: one table of cases, run with the runtime
 * that the engine has by itself and then with gantry-oci. A case that fails with both is a bad case.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import test, { after } from "node:test";
import { type Engine, removeGroups } from "../../bench/peers/peer.ts";
import { removeTree } from "../../src/base/remove-tree.ts";
import { Scope } from "../../src/base/scope.ts";
import { parseProcCgroup } from "../../src/linux/cgroup-mounts.ts";
import { type CommandOptions, command, must, type Outcome } from "../lib/command.ts";
import { leftovers, snapshot, sweep } from "../lib/leftovers.ts";
import { programPath } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

export type RuntimeName = "crun" | "runc" | "gantry-oci";

export function runtimePath(name: RuntimeName): string {
  return name === "gantry-oci" ? gantryOciProgram : (programPath(name) ?? name);
}

/**
 * The runtime with its state in the test's own folder, for callers that do not name a root: a program of the same name,
 * since they look at it.
 */
export function withOwnRoot(
  dir: string,
  name: RuntimeName,
  root = join(dir, "runtime"),
  program = runtimePath(name),
): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\nexec ${program} --root ${root} "$@"\n`, { mode: 0o755 });
  return path;
}

/** What a case gets: an engine that calls one of the runtimes. */
export class Caller {
  readonly peer: Engine;
  readonly runtime: RuntimeName;
  /** All cgroups of its containers lie below this name, in each hierarchy. */
  readonly group: string;
  /** A folder of the case's own. */
  readonly files: string;
  readonly #inGroup: boolean;
  readonly #made: string[] = [];

  constructor(peer: Engine, place: Place, files: string, inGroup: boolean) {
    this.peer = peer;
    this.runtime = place.runtime;
    this.group = place.group;
    this.#inGroup = inGroup;
    this.files = files;
  }

  get image(): string {
    return this.peer.image;
  }

  /** A name that no other container has. */
  name(): string {
    const name = `${this.group}-${++counter}`;
    this.#made.push(name);
    return name;
  }

  /** Names that `name` gave since the last call. */
  takeNames(): string[] {
    return this.#made.splice(0);
  }

  call(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
    return command([...this.peer.cli, ...args], { ...options, env: { ...this.peer.env, ...options.env } });
  }

  /** A command that has to succeed; what it printed, without the last line end. */
  async must(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const env = { ...this.peer.env, ...options.env };
    return (await must([...this.peer.cli, ...args], { ...options, env })).trimEnd();
  }

  /** The flag that puts a container into the test's own group. */
  get parent(): readonly string[] {
    return this.#inGroup ? ["--cgroup-parent", `/${this.group}`] : [];
  }

  /** `run` in the way of docker and podman, in a cgroup of the test's and without a network. */
  run(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
    return this.call(["run", "--network", "none", ...this.parent, ...args], options);
  }

  /** The same, detached; hands back the name. */
  async detached(args: readonly string[]): Promise<string> {
    const name = this.name();
    const done = await this.run(["--detach", "--name", name, ...args]);
    assert.equal(done.code, 0, done.stderr);
    return name;
  }

  /** One member of `inspect`, by a Go template. */
  inspect(name: string, member: string): Promise<string> {
    return this.must(["inspect", "--format", `{{${member}}}`, name]);
  }

  /** Waits until a member of `inspect` is as wanted. */
  async reaches(name: string, member: string, wanted: string, timeoutMs = 30_000): Promise<void> {
    let seen = "";
    await until(
      `${member} of ${name} to be ${wanted}`,
      async () => {
        seen = await this.inspect(name, member);
        return seen === wanted;
      },
      timeoutMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${seen}`);
    });
  }

  /** Waits until the container has logged `text`. */
  async says(name: string, text: string): Promise<void> {
    await until(`${name} to say ${text}`, async () => {
      const { stdout, stderr } = await this.call(["logs", name]);
      return `${stdout}${stderr}`.includes(text);
    });
  }
}

/** Whether gantry-oci has kept a plan for this engine's containers (native/plan_template.c), wherever its state is. */
export async function hasKeptPlan(caller: Caller): Promise<boolean> {
  const found = await must([
    "find",
    join(caller.files, ".."),
    "-path",
    "*/.plans/*",
    "-not",
    "-name",
    "*.seen",
  ]);
  return found !== "";
}

let counter = 0;

/** A file of the cgroup of a process, whichever version has the controller. */
export function cgroupValue(pid: number | string, controller: string, v1: string, v2: string): string {
  const paths = parseProcCgroup(readFileSync(`/proc/${pid}/cgroup`, "utf8"));
  const own = paths.get(controller);
  const file =
    own === undefined
      ? join("/sys/fs/cgroup", paths.get("") ?? "/", v2)
      : join("/sys/fs/cgroup", controller, own, v1);
  return readFileSync(file, "utf8").trim();
}

export interface Case {
  readonly name: string;
  /** Why it is left out for one of the engines. */
  readonly not?: Readonly<Record<string, string>>;
  body(caller: Caller): Promise<void>;
}

export interface Suite {
  readonly name: string;
  readonly runtimes: readonly RuntimeName[];
  readonly cases: readonly Case[];
  readonly skip: string | false;
  /** False where the containers get no groups of their own. */
  readonly groups?: boolean;
  /** Groups that the engine makes beside those of containers, and leaves. */
  readonly keepsGroups?: RegExp;
  /** Ends and removes containers by name; unknown names are fine. */
  remove(caller: Caller, names: readonly string[]): Promise<unknown>;
  open(place: Place): Promise<Engine>;
}

export interface Place {
  readonly dir: string;
  readonly group: string;
  readonly runtime: RuntimeName;
  readonly scope: Scope;
}

/** Folders of this name in all hierarchies, with what is below them. */
function groupsNamed(name: string): string[] {
  const root = "/sys/fs/cgroup";
  return [root, ...readdirSync(root).map((entry) => join(root, entry))]
    .map((hierarchy) => join(hierarchy, name))
    .flatMap(walk);
}

function walk(path: string): string[] {
  try {
    const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [path, ...below.flatMap(({ name }) => walk(join(path, name)))];
  } catch {
    return [];
  }
}

/** One engine over one runtime, opened when the first case asks for it. */
class Stage {
  readonly #suite: Suite;
  readonly #runtime: RuntimeName;
  readonly #scope = new Scope();
  readonly #group: string;
  #dir = "";
  #caller: Promise<Caller> | undefined;

  constructor(suite: Suite, runtime: RuntimeName) {
    this.#suite = suite;
    this.#runtime = runtime;
    this.#group = `gantry-test-${suite.name}-${runtime}-${process.pid}`;
  }

  caller(): Promise<Caller> {
    this.#caller ??= this.#open();
    return this.#caller;
  }

  async #open(): Promise<Caller> {
    const dir = mkdtempSync(join(tmpdir(), "gantry-caller-"));
    this.#dir = dir;
    // root of a user namespace must get through
    chmodSync(dir, 0o711);
    const files = join(dir, "files");
    mkdirSync(files);
    const place = {
      dir: join(dir, "engine"),
      group: this.#group,
      runtime: this.#runtime,
      scope: this.#scope,
    };
    mkdirSync(place.dir, { mode: 0o711 });
    const peer = this.#scope.use(await this.#suite.open(place));
    return new Caller(peer, place, files, this.#suite.groups ?? true);
  }

  async run(one: Case): Promise<void> {
    const caller = await this.caller();
    try {
      await one.body(caller);
    } finally {
      const names = caller.takeNames();
      if (names.length > 0) await this.#suite.remove(caller, names);
    }
  }

  /** Ends everything, and fails if it did not take everything with it. */
  async close(): Promise<void> {
    if (this.#dir === "") return;
    const dir = this.#dir;
    this.#dir = "";
    // interfaces that are there already are others'
    const before = { ...snapshot(dir), cgroups: new Set<string>() };
    const kept = this.#suite.keepsGroups;
    const groups = groupsNamed(this.#group).filter(
      (path) => basename(path) !== this.#group && !kept?.test(basename(path)),
    );
    await this.#scope[Symbol.asyncDispose]();
    const left = (await leftovers(before, 5000)).filter(({ kind }) => kind !== "cgroup");
    await sweep(left);
    removeGroups(this.#group);
    removeTree(dir);
    assert.deepEqual({ left, groups }, { left: [], groups: [] });
  }
}

/** Declares the tests of a suite, runtime after runtime. */
export function declare(suite: Suite): void {
  for (const runtime of suite.runtimes) {
    const stage = new Stage(suite, runtime);
    for (const one of suite.cases) {
      if (one.not?.[suite.name] !== undefined) continue;
      test(`${suite.name} over ${runtime}: ${one.name}`, { skip: suite.skip }, () => stage.run(one));
    }
    // also when the last test is not asked for
    after(() => stage.close());
    test(`${suite.name} over ${runtime}: nothing is left at the end`, { skip: suite.skip }, () =>
      stage.close(),
    );
  }
}
