/**
 * The runtime's own program, reached from inside (CVE-2019-5736): what a container can reach is a sealed copy
 * in memory, never the file on disk that the next container start executes.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../lib/until.ts";
import { attack, type Cell } from "./cell.ts";

/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE. */
const allSeals = 15;

function fingerprint(path: string): string {
  const { ino, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return `${ino} ${mtimeNs} ${ctimeNs} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
}

/** Runs the attack and proves that the executor on disk is the same, byte for byte and inode for inode. */
async function untouched(cell: Cell, attack: () => Promise<void>): Promise<void> {
  const before = fingerprint(cell.executor);
  await attack();
  assert.equal(fingerprint(cell.executor), before);
  assert.equal((await cell.run(["/bin/true"])).code, 0, "the next container starts");
}

attack(
  "CVE-2019-5736: an entrypoint /proc/self/exe is a sealed copy that its child cannot write to",
  (cell) =>
    untouched(cell, async () => {
      // process 1 is the executor itself, run from the container as its tiny init; the attacker is its child
      const { stdout, error } = await cell.run(
        ["/proc/self/exe", "init", "--", "/probe", "overwrite", "/proc/1/exe"],
        {
          options: { capAdd: ["SYS_PTRACE"] },
        },
      );
      assert.equal(error, "");
      assert.match(stdout, /^target: \/memfd:gantry-executor \(deleted\)$/m);
      assert.match(stdout, /^read: ok$/m);
      assert.match(stdout, /^write: (ETXTBSY|EPERM)$/m);
      assert.match(stdout, /^truncate: (ETXTBSY|EPERM)$/m);
      assert.match(stdout, /^write through descriptor: (ETXTBSY|EPERM)$/m);
      assert.match(stdout, /^shared mapping: (EACCES|EPERM)$/m);
      const seals = Number(/^seals: (\d+)$/m.exec(stdout)?.[1]);
      assert.equal(seals & allSeals, allSeals);
    }),
);

attack("CVE-2019-5736: a script whose interpreter is /proc/self/exe reaches no host file", (cell) =>
  untouched(cell, async () => {
    const rootfs = cell.rootfs();
    writeFileSync(join(rootfs, "script"), "#!/proc/self/exe init\n");
    writeFileSync(join(rootfs, "plain"), "#!/proc/self/exe\n");
    for (const name of ["script", "plain"]) chmodSync(join(rootfs, name), 0o755);
    // the copy runs the script as its init, which is the copy again, until there may be no more processes
    const chain = await cell.run(["/script"], { rootfs, options: { pidsLimit: 20 } });
    assert.equal(chain.code, 126);
    assert.match(chain.stderr, /^gantry-init: fork: /);
    const usage = await cell.run(["/plain"], { rootfs });
    assert.equal(usage.code, 125);
    assert.match(usage.stderr, /^usage: gantry-executor/);
  }),
);

attack(
  "the attack is real: a program that runs from a file of the host can be written to after its end",
  async (cell) => {
    const victim = join(cell.dir, "victim");
    copyFileSync("/bin/busybox", victim);
    const before = readFileSync(victim);
    const script = "/busybox sleep 0.3 & sleep 0.05; exec /probe overwrite-later /proc/$!/exe";
    const { stdout } = await cell.run(["/bin/sh", "-c", script], {
      options: { mounts: [{ kind: "bind", source: victim, target: "/busybox" }] },
    });
    assert.match(stdout, /^write later: ok$/m);
    assert.notDeepEqual(readFileSync(victim), before);
  },
);

/** Starts containers in the pid namespace of an attacker who looks at every process that appears there. */
async function watched(cell: Cell, capAdd: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const pidFile = join(cell.folder(), "pid");
  const attacker = cell.run(["/probe", "watch", "2500"], { options: { capAdd }, mode: { pidFile } });
  const pid = await until(
    "the attacker is there",
    () => existsSync(pidFile) && readFileSync(pidFile, "utf8"),
  );
  const rootfs = cell.rootfs();
  const deadline = performance.now() + 1800;
  let started = 0;
  while (performance.now() < deadline) {
    const { code, error } = await cell.run(["/bin/true"], {
      rootfs,
      change: (config) => {
        const pids = config.linux.namespaces.find(({ type }: { type: string }) => type === "pid");
        pids.path = `/proc/${pid}/ns/pid`;
      },
    });
    assert.equal(code, 0, error);
    started++;
  }
  assert.ok(started > 0, `only ${started} starts`);
  const { stdout, error } = await attacker;
  assert.match(stdout, /^seen some$/m, error);
  return new Map([...stdout.matchAll(/^([a-z ]+) (\d+)$/gm)].map((match) => [match[1]!, Number(match[2])]));
}

attack(
  "CVE-2019-5736, CVE-2016-9962: in a shared pid namespace a start shows neither program nor descriptors",
  (cell) =>
    untouched(cell, async () => {
      const seen = await watched(cell, []);
      assert.deepEqual(Object.fromEntries(seen), { exes: 0, written: 0, fds: 0, "foreign roots": 0 });
    }),
);

attack(
  "CVE-2019-5736: who may trace every process sees the copy in memory there, and cannot write to it",
  (cell) =>
    untouched(cell, async () => {
      const seen = await watched(cell, ["SYS_PTRACE"]);
      assert.notEqual(seen.get("exes"), 0);
      assert.equal(seen.get("written"), 0);
    }),
);
