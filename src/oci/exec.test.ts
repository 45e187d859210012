import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import type { Plan } from "../plan/plan.ts";
import { parseRuntimeConfig } from "../spec/runtime-config.ts";
import { subCgroups } from "./exec-cgroups.ts";
import { execFlags } from "./exec-container.ts";
import { execProcess } from "./exec-process.ts";
import { parseFlags } from "./flags.ts";
import { readExecConfig, storeConfig } from "./stored-config.ts";
import { readStoredFilter, storeFilter } from "./stored-filter.ts";

const config = parseRuntimeConfig(
  JSON.stringify({
    ociVersion: "1.3.0",
    process: {
      terminal: true,
      user: { uid: 1, gid: 2, additionalGids: [3] },
      cwd: "/srv",
      args: ["init"],
      env: ["A=1"],
      capabilities: { bounding: ["CAP_KILL"], ambient: ["CAP_KILL"] },
      noNewPrivileges: true,
      oomScoreAdj: 7,
    },
  }),
);

function processOf(...argv: string[]) {
  const flags = parseFlags(argv, execFlags);
  return execProcess(flags, config, flags.rest.slice(1));
}

test("without flags the process is the container's, with its own program and no terminal", () => {
  const process = processOf("id", "sh", "-c", "true");
  assert.deepEqual(process.args, ["sh", "-c", "true"]);
  assert.equal(process.terminal, false);
  assert.deepEqual(
    [process.cwd, process.env, process.noNewPrivileges, process.oomScoreAdj],
    ["/srv", ["A=1"], true, 7],
  );
});

test("flags add and replace as runc's do", () => {
  const process = processOf(
    ...["-u", "10:20", "-g", "4", "--additional-gids", "5", "-e", "B=2", "--cwd=/", "-c", "CAP_CHOWN"],
    ...["--no-new-privs=false", "--apparmor", "mine", "--process-label", "a:b:c:d", "-t", "id", "true"],
  );
  assert.deepEqual(process.user, { uid: 10, gid: 20, additionalGids: [3, 4, 5] });
  assert.deepEqual(process.env, ["A=1", "B=2"]);
  assert.deepEqual(process.capabilities, {
    bounding: ["CAP_KILL", "CAP_CHOWN"],
    effective: ["CAP_CHOWN"],
    permitted: ["CAP_CHOWN"],
    ambient: ["CAP_KILL"],
  });
  assert.deepEqual(
    [process.cwd, process.noNewPrivileges, process.apparmorProfile, process.selinuxLabel, process.terminal],
    ["/", false, "mine", "a:b:c:d", true],
  );
  assert.deepEqual(processOf("--user", "10", "id", "true").user, { uid: 10, gid: 2, additionalGids: [3] });
});

test("a user is numbers and nothing else", () => {
  for (const text of [
    ...["root", "0x0", "1e3", " 1", "1 ", "+1", "-1", "1.0", "01x", "4294967295", "4294967296"],
    ...["1:", ":1", "1:root", "1:2:3", "1:4294967296", "99999999999999999999", "1\n"],
  ])
    assert.throws(
      () => processOf("-u", text, "id", "true"),
      /is not a numeric id|is not <uid>\[:<gid>\]/,
      text,
    );
  for (const text of ["-1", "x", "4294967295", ""])
    assert.throws(() => processOf(`--additional-gids=${text}`, "id", "true"), /is not a numeric id/, text);
  assert.throws(() => processOf("--cwd", "srv", "id", "true"), /Cwd must be an absolute path/);
});

test("a process file is decoded like a config: what is not in it is not taken from elsewhere", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-exec-"));
  const file = join(dir, "process.json");
  const read = (text: string) => {
    writeFileSync(file, text);
    return processOf("--process", file, "--cwd", "/elsewhere", "id", "ignored");
  };
  try {
    assert.deepEqual(read('{"cwd":"/","args":["true"],"unknown":1}'), { cwd: "/", args: ["true"] });
    for (const [text, wanted] of [
      ["", /parse process file/],
      ["[]", /expected an object/],
      ['{"args":["true"]}', /\/cwd/],
      ['{"cwd":"srv","args":["true"]}', /\/cwd: .*absolute path/],
      ['{"cwd":"/","args":["true"],"user":{"uid":"0"}}', /\/user\/uid: expected an integer/],
      ['{"cwd":"/","args":["true"],"user":{"uid":4294967296}}', /\/user\/uid: .*out of range/],
      ['{"cwd":"/","args":["true"],"user":{"uid":-1}}', /\/user\/uid: .*out of range/],
      ['{"cwd":"/","args":["a\\u0000b"]}', /\/args\/0: .*NUL/],
      ['{"cwd":"/","args":"true"}', /\/args: expected an array/],
      ['{"cwd":"/","args":["true"],"rlimits":[{"type":"x","soft":1,"hard":1}]}', /\/rlimits\/0\/type/],
    ] as const)
      assert.throws(() => read(text), wanted, text);
    assert.throws(() => processOf("--process", join(dir, "none"), "id"), /open ".*none": no such file/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("--cgroup goes down from the container's own cgroups, never up", () => {
  const cgroups = [
    { version: 1, mount: "/m", path: "/c", controllers: ["memory"] },
    { version: 1, mount: "/p", path: "/c", controllers: ["cpu", "cpuacct"] },
    { version: 2, mount: "/u", path: "/c", controllers: undefined },
  ];
  const paths = (...asked: string[]) => subCgroups(cgroups, asked).map(({ path }) => path);
  assert.deepEqual(paths("a/b"), ["/c/a/b", "/c/a/b", "/c/a/b"]);
  assert.deepEqual(paths("/"), ["/c", "/c", "/c"]);
  assert.deepEqual(paths("a/../b/"), ["/c/b", "/c/b", "/c/b"]);
  assert.deepEqual(paths("memory:a", "cpuacct:b"), ["/c/a", "/c/b", "/c"]);
  assert.deepEqual(paths("memory,cpu:a"), ["/c/a", "/c/a", "/c"]);
  for (const asked of ["..", "../cc", "a/../..", "/../x"])
    assert.throws(() => paths(asked), /is not a sub cgroup path/, asked);
  assert.throws(() => paths("a", "b"), /missing <controller>: prefix/);
  assert.throws(() => paths(":a"), /empty <controller> prefix/);
  assert.throws(() => paths("cpu:a", "cpu:b"), /multiple paths for controller cpu/);
  assert.throws(() => paths("freezer:a"), /unknown controller freezer/);
});

test("a filter is kept as it was compiled, and one that is cut short is refused", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-exec-"));
  const plan = (child: Plan["child"]): Plan => ({ host: [], child, cleanup: [] });
  const load = (listener: number) =>
    ({ op: "load-seccomp", where: "", flags: 5, filter: program, listener }) as const;
  const file = join(dir, "seccomp.filter");
  const program = Uint8Array.from({ length: 24 }, (_, index) => index);
  try {
    assert.equal(readStoredFilter(dir), undefined);
    storeFilter(dir, plan([load(1)]));
    assert.equal(readStoredFilter(dir), undefined, "who gets a listener stands in the policy");
    storeFilter(dir, plan([load(0)]));
    const { program: kept, ...rest } = readStoredFilter(dir)!.filter!;
    assert.deepEqual([...kept], [...program]);
    assert.deepEqual(rest, { instructions: 3, flags: 5, listener: false });
    assert.throws(() => storeFilter(dir, plan([])), /file exists/);
    writeFileSync(file, Buffer.alloc(10));
    assert.throws(() => readStoredFilter(dir), /cut short/);
    rmSync(file);
    storeFilter(dir, plan([]));
    assert.deepEqual(readStoredFilter(dir), { filter: undefined });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("of the stored config exec reads what concerns a further process", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-exec-"));
  const read = (linux: object, withPolicy: boolean) => {
    rmSync(join(dir, "config.json"), { force: true });
    const mounts = [{ destination: "/x" }];
    storeConfig(dir, JSON.stringify({ ociVersion: "1.3.0", hostname: "h", mounts, linux }));
    return readExecConfig(dir, withPolicy);
  };
  const namespaces = [{ type: "pid" }];
  const seccomp = { defaultAction: "SCMP_ACT_ALLOW" };
  try {
    const known = { ociVersion: "1.3.0", hostname: "h" };
    assert.deepEqual(read({ namespaces, seccomp }, false), { ...known, linux: { namespaces } });
    assert.deepEqual(read({ namespaces, seccomp }, true), { ...known, linux: { namespaces, seccomp } });
    assert.throws(() => read({ namespaces: [{ type: "nothing" }] }, true), /\/linux\/namespaces\/0\/type/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
