import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { GantryError } from "../base/error.ts";
import { runOciCommand } from "./command.ts";
import { criuFlagTable, criuSetting, explainCriu, lastErrors, readCriuFlags } from "./criu.ts";
import { parseFlags } from "./flags.ts";
import { checkpoint } from "./verb-checkpoint.ts";
import { restore } from "./verb-restore.ts";

const log = `(00.1) sockets: Probing
(00.2) Error (criu/util.c:642): exited, status=1
(00.3) Error (criu/files-reg.c:1710): Can't lookup mount=29 for fd=1 path=/out
(00.4) Error (criu/cr-dump.c:1635): Dump files (pid: 160) failed with -1
(00.5) Unseizing 160 into 1
(00.6) Error (criu/cr-dump.c:2053): Dumping FAILED.
`;

function inFolder<T>(body: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), "gantry-criu-"));
  const clean = () => rmSync(dir, { recursive: true, force: true });
  const result = body(dir);
  if (result instanceof Promise) return result.finally(clean) as T;
  clean();
  return result;
}

test("the last errors of criu's log are quoted, not the line that only says that it failed", () => {
  assert.equal(
    lastErrors(log),
    "Error (criu/files-reg.c:1710): Can't lookup mount=29 for fd=1 path=/out; " +
      "Error (criu/cr-dump.c:1635): Dump files (pid: 160) failed with -1",
  );
  assert.equal(lastErrors("(00.1) all is well\n"), "");
});

test("a failure of criu is told in runc's two lines, of which callers show the first", () =>
  inFolder((dir) => {
    const file = join(dir, "dump.log");
    writeFileSync(file, log);
    const failed = (op: string) =>
      new GantryError("failed-precondition", "criu failed: type DUMP: errno 3: input/output error", {
        detail: { op, stage: "host" },
      });
    const told = explainCriu(failed("await-criu"), file) as GantryError;
    const [first, second] = told.message.split("\n");
    assert.match(first!, /^criu failed: type DUMP errno 3: Error .*Can't lookup mount=29/);
    assert.equal(second, `log file: ${file}`);
    const other = failed("clone");
    assert.equal(explainCriu(other, file), other);
    assert.match(
      (explainCriu(failed("await-criu"), join(dir, "none")) as Error).message,
      /errno 3\nlog file/,
    );
  }));

const read = (argv: readonly string[], annotations = {}) =>
  readCriuFlags(parseFlags(argv, { ...criuFlagTable, ...checkpoint.flags, ...restore.flags }), annotations);

test("flags become what criu is asked for, and a value that it has none of is refused", () => {
  const flags = read([
    ...["--tcp-established", "--manage-cgroups-mode", "ignore", "--empty-ns", "network"],
    ...["--page-server", "[::1]:1234", "--lsm-profile", "apparmor:x"],
  ]);
  assert.deepEqual(
    [flags.tcpEstablished, flags.fileLocks, flags.cgroupMode, flags.emptyNamespaces, flags.lsmProfile],
    [true, false, "ignore", 0x40000000, "apparmor:x"],
  );
  assert.deepEqual(flags.pageServer, { address: "::1", port: 1234 });
  assert.equal(read([]).cgroupMode, "soft");
  assert.throws(() => read(["--manage-cgroups-mode", "odd"]), /"odd".*ignore, soft, full, strict/);
  assert.throws(() => read(["--empty-ns", "uts"]), /namespace "uts" is not supported/);
  assert.throws(() => read(["--page-server", "nowhere"]), /Use --page-server ADDRESS:PORT/);
});

test("an annotation names a file of criu's options, as with runc; an empty one none", () => {
  assert.equal(read([], { "org.criu.config": "/etc/criu/mine.conf" }).configFile, "/etc/criu/mine.conf");
  assert.equal(read([], { "org.criu.config": "" }).configFile, undefined);
});

test("callers that probe find both verbs, and the words of a missing argument", () =>
  inFolder(async (dir) => {
    const file = join(dir, "log");
    assert.equal(await runOciCommand(["--root", dir, "--log", file, "checkpoint", "--help"], {}), 0);
    assert.equal(
      await runOciCommand(["--root", dir, "--log", file, "restore", "--lsm-mount-context"], {}),
      1,
    );
    assert.match(readFileSync(file, "utf8"), /flag needs an argument: -lsm-mount-context/);
  }));

test("without criu the error names it", { skip: process.geteuid!() === 0 ? false : "needs root" }, () =>
  inFolder((dir) => {
    mkdirSync(join(dir, "bin"));
    const context = { env: { PATH: join(dir, "bin") } } as unknown as Parameters<typeof criuSetting>[0];
    const flags = parseFlags(["--image-path", join(dir, "img")], criuFlagTable);
    assert.throws(() => criuSetting(context, flags, true), /criu is needed and not found in \$PATH/);
    writeFileSync(join(dir, "bin/criu"), "", { mode: 0o755 });
    assert.throws(() => criuSetting(context, flags, false), /img": no directory with images of criu/);
    assert.equal(criuSetting(context, flags, true).work, join(dir, "img"));
  }),
);
