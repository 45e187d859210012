import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { parseRuntimeConfig } from "../spec/runtime-config.ts";
import { runOciCommand } from "./command.ts";
import { defaultSpec } from "./default-spec.ts";
import { featuresDocument } from "./features.ts";
import { numberFlag, parseFlags } from "./flags.ts";
import { openLog } from "./log.ts";
import {
  checkId,
  isAlive,
  listContainers,
  makeStateDirectory,
  readContainer,
  stateDocument,
} from "./state-directory.ts";

function inFolder<T>(body: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), "gantry-oci-"));
  const clean = () => rmSync(dir, { recursive: true, force: true });
  let result: T;
  try {
    result = body(dir);
  } catch (error) {
    clean();
    throw error;
  }
  if (result instanceof Promise) return result.finally(clean) as T;
  clean();
  return result;
}

const table = {
  bundle: { kind: "text", short: "b", help: "" },
  env: { kind: "texts", short: "e", help: "" },
  detach: { kind: "switch", short: "d", help: "" },
} as const;

test("flags are taken with one dash or two, with = or a space, and end at the first argument", () => {
  const flags = parseFlags(["-b", "x", "--env=A=1", "-e", "B", "-detach", "id", "-b"], table);
  assert.equal(flags.text("bundle"), "x");
  assert.deepEqual(flags.texts("env"), ["A=1", "B"]);
  assert.equal(flags.has("detach"), true);
  assert.deepEqual(flags.rest, ["id", "-b"]);
  assert.equal(parseFlags(["--detach=false"], table).has("detach"), false);
  assert.deepEqual(parseFlags(["--", "-b"], table).rest, ["-b"]);
});

test("unknown flags, missing values and bad numbers are refused in the words of runc's library", () => {
  assert.throws(() => parseFlags(["--nope"], table), /flag provided but not defined: -nope/);
  assert.throws(() => parseFlags(["--bundle"], table), /flag needs an argument: -bundle/);
  assert.throws(() => parseFlags(["--detach=maybe"], table), /invalid boolean value "maybe"/);
  assert.throws(() => numberFlag(parseFlags(["-b", "-1"], table), "bundle"), /invalid value "-1"/);
});

test("ids hold letters, digits and _ + - . and begin with no dot", () => {
  for (const id of ["a", "0", "a.b-c_d+e", "x".repeat(1024)]) assert.equal(checkId(id), id);
  for (const id of ["", ".", "..", ".a", "a/b", "a b", "ä", "x".repeat(1025)])
    assert.throws(() => checkId(id), /invalid container ID format/, id);
});

test("a log line is logrus' line, as text or as one JSON object", () =>
  inFolder((dir) => {
    const file = join(dir, "log");
    const json = openLog({ file, format: "json", debug: false });
    json.logger.warn("not shown");
    json.fatal('it "broke"');
    const entry = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    assert.deepEqual([entry.level, entry.msg], ["error", 'it "broke"']);
    assert.match(entry.time!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    openLog({ file: `${file}2`, format: "text", debug: true }).logger.debug("seen", { pointer: "/x" });
    assert.match(readFileSync(`${file}2`, "utf8"), /^time="[^"]+" level=debug msg="seen" pointer="\/x"\n$/);
  }));

const record = {
  ociVersion: "1.3.0",
  id: "c1",
  bundle: "/b",
  rootfs: "/b/rootfs",
  annotations: { a: "b" },
  ownPids: true,
  cgroups: [],
  hooks: {},
  pid: process.pid,
  pidStart: Number(readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ")[19]),
  created: "2026-01-02T03:04:05.000000006Z",
};

function container(root: string, patch: object): void {
  const directory = makeStateDirectory(root, "c1");
  writeFileSync(join(directory, "state.json"), JSON.stringify({ ...record, ...patch }));
}

test("state is asked of the process itself: a reused pid is a stopped container", () => {
  assert.equal(isAlive(record), true);
  assert.equal(isAlive({ ...record, pidStart: record.pidStart + 1 }), false);
  inFolder((root) => {
    container(root, {});
    assert.equal(readContainer(root, "c1").status, "running");
    writeFileSync(join(root, "c1", "exec.fifo"), "");
    assert.equal(stateDocument(readContainer(root, "c1")).status, "created");
  });
  inFolder((root) => {
    container(root, { pidStart: 1 });
    const { status, pid, annotations } = stateDocument(readContainer(root, "c1"));
    assert.deepEqual([status, pid, annotations], ["stopped", 0, { a: "b" }]);
  });
});

test("a start that another one forestalls says so at once", () =>
  inFolder(async (root) => {
    container(root, {});
    const fifo = join(root, "c1", "exec.fifo");
    execFileSync("mkfifo", [fifo]);
    spawn("sh", ["-c", 'sleep 0.1; rm "$1"', "-", fifo]);
    const log = join(root, "log");
    const begun = Date.now();
    assert.equal(await runOciCommand(["--root", root, "--log", log, "start", "c1"], {}), 1);
    assert.match(readFileSync(log, "utf8"), /cannot start an already running container/);
    assert.ok(Date.now() - begun < 5000);
  }));

test("an id can be claimed once, and a half-made container is no container", () =>
  inFolder((root) => {
    makeStateDirectory(root, "c1");
    assert.throws(() => makeStateDirectory(root, "c1"), /container with given ID already exists/);
    assert.throws(() => readContainer(root, "c1"), /container does not exist/);
    assert.deepEqual(listContainers(root), []);
    assert.deepEqual(listContainers(join(root, "nowhere")), []);
    // a minute later nobody can be at work on it any more
    utimesSync(join(root, "c1"), 0, Date.now() / 1000 - 61);
    makeStateDirectory(root, "c1");
  }));

test("a state file that was tampered with is refused, not believed", () =>
  inFolder((root) => {
    container(root, { cgroups: [{ version: 1, mount: "/sys/fs/cgroup", path: "/" }] });
    assert.throws(() => readContainer(root, "c1"), /\/cgroups\/0\/path/);
  }));

test("the example of spec is a config that the decoder takes, rootless too", () => {
  for (const ids of [undefined, { uid: 1000, gid: 1000 }]) {
    const text = JSON.stringify(defaultSpec(ids));
    assert.deepEqual(JSON.parse(JSON.stringify(parseRuntimeConfig(text))), JSON.parse(text));
  }
});

test("features lists what is known in the form of the specification", () => {
  const { ociVersionMin, ociVersionMax, hooks, mountOptions, linux } = featuresDocument() as {
    ociVersionMin: string;
    ociVersionMax: string;
    hooks: string[];
    mountOptions: string[];
    linux: Record<string, Record<string, unknown> & string[]>;
  };
  assert.deepEqual([ociVersionMin, ociVersionMax], ["1.0.0", "1.3.0"]);
  assert.equal(hooks.length, 6);
  assert.equal(mountOptions.length, 62);
  for (const option of ["rbind", "rro", "idmap", "ridmap", "tmpcopyup", "nosymfollow", "remount", "rnodev"])
    assert.ok(mountOptions.includes(option), option);
  assert.equal(linux.namespaces!.length, 8);
  assert.ok(linux.capabilities!.every((name) => /^CAP_[A-Z_]+$/.test(name)));
  const { seccomp, intelRdt, memoryPolicy, netDevices, mountExtensions, apparmor, selinux } = linux;
  const sizes = Object.entries(seccomp!).map(([key, value]) => [key, (value as string[]).length ?? value]);
  assert.deepEqual(Object.fromEntries(sizes), {
    enabled: true,
    actions: 9,
    operators: 7,
    archs: 23,
    knownFlags: 4,
    supportedFlags: 4,
  });
  assert.deepEqual(intelRdt, { enabled: true, schemata: true, monitoring: true });
  assert.deepEqual(
    [(memoryPolicy!.modes as string[]).length, (memoryPolicy!.flags as string[]).length],
    [7, 3],
  );
  assert.deepEqual([netDevices, apparmor, selinux], Array(3).fill({ enabled: true }));
  assert.deepEqual(mountExtensions, { idmap: { enabled: true } });
});

test("errors go to the log as one JSON object, with status 1", () =>
  inFolder(async (dir) => {
    const log = join(dir, "log.json");
    const run = (...args: string[]) =>
      runOciCommand(["--root", join(dir, "root"), "--log", log, "--log-format", "json", ...args], {});
    const message = async (...args: string[]) => {
      rmSync(log, { force: true });
      assert.equal(await run(...args), 1);
      return (JSON.parse(readFileSync(log, "utf8")) as { msg: string }).msg;
    };
    assert.match(await message("state", "x"), /^container does not exist$/);
    assert.match(await message("state"), /requires exactly 1 argument/);
    assert.match(await message("nonsense"), /No help topic for 'nonsense'/);
    assert.match(await message("kill", "x", "NOSIG"), /unknown signal "NOSIG"/);
    assert.match(
      await message("run", "--bundle", dir, "x"),
      /^gantry-oci run failed: open ".*config\.json": no such file or directory$/,
    );
    assert.equal(await run("delete", "--force", "x"), 0);
    mkdirSync(join(dir, "b"));
    assert.equal(await run("spec", "--bundle", join(dir, "b")), 0);
    assert.match(await message("spec", "--bundle", join(dir, "b")), /File config\.json exists/);
  }));
