import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import type { RuntimeProcess } from "../spec/runtime-process.ts";
import { buildExecProcess, type ExecOptions } from "./exec-process.ts";

const process: RuntimeProcess = {
  terminal: true,
  consoleSize: { height: 1, width: 2 },
  user: { uid: 7, gid: 8, additionalGids: [8, 9] },
  cwd: "/srv",
  args: ["init"],
  env: ["PATH=/bin", "A=1"],
  capabilities: { bounding: ["CAP_KILL"] },
  noNewPrivileges: true,
  oomScoreAdj: 7,
};

const build = (options: ExecOptions, user?: { uid: number; gid: number; additionalGids: number[] }) =>
  buildExecProcess({ process, args: ["sh"], options, capabilities: ["CAP_CHOWN", "CAP_KILL"], user });

test("without options the process is the container's, with its own program and no terminal", () => {
  const { consoleSize: _, ...own } = process;
  assert.deepEqual(build({}), { ...own, args: ["sh"], terminal: false });
});

test("options go over what the container has", () => {
  const made = build({ env: ["A", "B=2"], workingDirectory: "/a/../b", terminal: { rows: 5, columns: 9 } });
  assert.deepEqual(made.env, ["TERM=xterm", "PATH=/bin", "B=2"]);
  assert.deepEqual([made.cwd, made.terminal, made.consoleSize], ["/b", true, { height: 5, width: 9 }]);
  assert.deepEqual(build({ terminal: true, env: ["TERM=vt100"] }).env?.[0], "TERM=vt100");
  assert.throws(
    () => build({ workingDirectory: "b" }),
    (error) => isGantryError(error, "invalid-argument") && /'b' is invalid/.test(error.message),
  );
});

test("capabilities follow the user, and --privileged", () => {
  const root = { uid: 0, gid: 0, additionalGids: [0] };
  const kill = ["CAP_KILL"];
  assert.deepEqual(build({ user: "root" }, root).capabilities, {
    bounding: kill,
    effective: kill,
    permitted: kill,
  });
  assert.deepEqual(build({ user: "root" }, root).user, root);
  assert.deepEqual(build({}).capabilities, { bounding: kill });
  const all = ["CAP_CHOWN", "CAP_KILL"];
  assert.deepEqual(build({ privileged: true }).capabilities, {
    bounding: all,
    effective: all,
    permitted: all,
  });
});
