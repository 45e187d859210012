/** What exec does beyond what Debian's runc can: newer members of the config, cgroups that init moved to, sudden death. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { command, ended } from "../lib/command.ts";
import { skipped } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { type Json, unready } from "./bundle.ts";
import { cgroupMembers, freezerOf, hasV1 } from "./own-cgroups.ts";
import { type Running, withRunning } from "./running.ts";

const ours = "gantry-oci";
const needsV1 = !unready && !hasV1("pids") && skipped("needs a v1 hierarchy of pids");

/** Host pids in one of the container's cgroups, but for process 1. */
function others({ pid }: Running, controller = "pids"): readonly number[] {
  return cgroupMembers(pid, controller).filter((other) => other !== pid);
}

test("exec joins a time namespace and sees its clock", { skip: unready }, () =>
  withRunning(
    ours,
    {
      linux: {
        namespaces: ["pid", "network", "ipc", "uts", "mount", "time"].map((type) => ({ type })),
        timeOffsets: { boottime: { secs: 1_000_000 } },
      },
    },
    async ({ shell }) => {
      assert.equal(await shell("readlink /proc/self/ns/time"), await shell("readlink /proc/1/ns/time"));
      const uptime = Number((await shell("cat /proc/uptime")).split(" ")[0]);
      assert.ok(uptime > 1_000_000, `up for ${uptime} s`);
    },
  ),
);

test("exec has limits, OOM score, CPUs and a new session as its process says", { skip: unready }, () =>
  withRunning(
    ours,
    {
      process: {
        oomScoreAdj: 321,
        execCPUAffinity: { initial: "0", final: "0" },
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }],
      },
    },
    async ({ shell }) => {
      const look =
        "cat /proc/self/oom_score_adj; grep Cpus_allowed_list /proc/self/status; ulimit -n; ulimit -Hn";
      assert.equal(await shell(look), "321\nCpus_allowed_list:\t0\n100\n200\n");
    },
  ),
);

const noMkdir = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95 }],
};

test("the container's seccomp filter applies, with and without new privileges", {
  skip: unready,
}, async () => {
  for (const noNewPrivileges of [false, true])
    await withRunning(
      ours,
      { process: { noNewPrivileges }, linux: { seccomp: noMkdir } },
      async ({ exec, shell }) => {
        const { code, stderr } = await exec(["mkdir", "/x"]);
        assert.equal(code, 1);
        assert.match(stderr, /not supported/);
        assert.match(await shell("grep Seccomp: /proc/self/status"), /2/);
      },
    );
});

test(
  "a filter that forbids what exec itself needs to wait for its caller does no harm",
  { skip: unready },
  () =>
    withRunning(
      ours,
      {
        process: { noNewPrivileges: true },
        linux: {
          seccomp: {
            defaultAction: "SCMP_ACT_ALLOW",
            syscalls: [{ names: ["recvmsg", "recvfrom", "sendmsg"], action: "SCMP_ACT_KILL_PROCESS" }],
          },
        },
      },
      async ({ exec }) => assert.equal((await exec(["cat", "/dev/null"])).code, 0),
    ),
);

test("hooks of the container do not run for a process that joins it", { skip: unready }, () => {
  const args = ["sh", "-c", "echo x >> /hooks"];
  return withRunning(
    ours,
    { hooks: { startContainer: [{ path: "/bin/sh", args, env: ["PATH=/bin"] }] } },
    async ({ shell }) => assert.equal(await shell("cat /hooks"), "x\n"),
  );
});

test("exec goes where process 1 has moved itself", { skip: unready || needsV1 }, () =>
  withRunning(ours, {}, async ({ shell, id, pid }) => {
    const places = ["pids", "unified"].map((hierarchy) => `/sys/fs/cgroup/${hierarchy}/${id}/init`);
    for (const place of places) {
      mkdirSync(place);
      writeFileSync(join(place, "cgroup.procs"), String(pid));
    }
    const [own, inits] = (await shell("cat /proc/self/cgroup; echo =; cat /proc/1/cgroup")).split("=\n");
    assert.equal(own, inits);
    assert.match(own!, new RegExp(`^\\d+:pids:/${id}/init$`, "m"));
    assert.match(own!, new RegExp(`^0::/${id}/init$`, "m"));
    // who names a cgroup means that one
    assert.match(await shell("cat /proc/self/cgroup", ["--cgroup", "/"]), new RegExp(`^0::/${id}$`, "m"));
    for (const place of places) {
      writeFileSync(join(place, "../cgroup.procs"), String(pid));
      await until(`${place} to be empty`, () => readFileSync(join(place, "cgroup.procs"), "utf8") === "");
      rmdirSync(place);
    }
  }),
);

/** Waits on a unix socket for one message with a descriptor, and says which process that stands for. */
const receiver = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
print("listening", flush=True)
data, fds, _, _ = socket.recv_fds(s.accept()[0], 100, 4)
info = open(f"/proc/self/fdinfo/{fds[0]}").read()
print(data.decode(), len(fds), info.split("Pid:")[1].split()[0], flush=True)
`;

test("--pidfd-socket gets a pidfd of the program", { skip: unready }, () =>
  withRunning(ours, {}, async (running) => {
    const { exec, files } = running;
    // longer than the address of a socket
    const folder = join(files, "long".repeat(30));
    mkdirSync(folder);
    const child = spawn("python3", ["-c", receiver, "socket"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const end = ended(child);
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    await until("it to listen", () => text.includes("listening"));
    const pidFile = join(files, "pid");
    const flags = ["--detach", "--pidfd-socket", join(folder, "socket"), "--pid-file", pidFile];
    assert.equal((await exec(["sleep", "100"], flags)).code, 0);
    assert.equal(await end, 0);
    assert.equal(text, `listening\nsetns 1 ${readFileSync(pidFile, "utf8")}\n`);
    const { code, stderr } = await exec(["sh", "-c", "echo > /ran"], ["--pidfd-socket", "/no/such"]);
    assert.equal(code, 255);
    assert.match(stderr, /dial unix \/no\/such: connect: no such file or directory/);
    assert.ok(!existsSync(join(running.rootfs, "ran")), "the program ran all the same");
  }),
);

const hostile: readonly (readonly [process: Json, wanted: RegExp])[] = [
  [{ cwd: "/", args: ["true"], user: { uid: 4294967295 } }, /\/user\/uid/],
  [{ cwd: "/", args: ["true"], user: { uid: "0" } }, /\/user\/uid/],
  [{ cwd: "/", args: [] }, /args must not be empty/],
  [{ cwd: "/", args: ["true"], env: ["=x"] }, /invalid environment variable/],
  [{ cwd: "/proc/self/fd/7", args: ["true"] }, /chdir to cwd/],
  [{ cwd: "/", args: ["true"], apparmorProfile: "x\nexec y" }, /apparmor/],
  [{ cwd: "/", args: ["true"], capabilities: { effective: ["CAP_KILL"] } }, /is not in the permitted set/],
  [{ cwd: "/", args: ["../../../../bin/true\u0000"] }, /NUL/],
];

test(
  "a hostile process file is refused with the place that is wrong, and nothing runs",
  { skip: unready },
  () =>
    withRunning(ours, {}, async (running) => {
      const file = join(running.files, "process.json");
      for (const [process, wanted] of hostile) {
        writeFileSync(file, JSON.stringify(process));
        const { code, stderr } = await running.runtime.call(["exec", "--process", file, running.id]);
        assert.equal(code, 255, JSON.stringify(process));
        assert.match(stderr, wanted);
      }
      await until("nobody to be left", () => others(running).length === 0);
    }),
);

/** Every process of the container but the first is the program that was asked for, sooner or later. */
async function settled(running: Running): Promise<readonly number[]> {
  let left: readonly number[] = [];
  await until("only programs to be left", () => {
    left = others(running);
    return left.every((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n";
      } catch {
        return false;
      }
    });
  });
  return left;
}

test(
  "a runtime that is killed while its process is frozen on the way in leaves nothing",
  { skip: unready },
  () =>
    withRunning(ours, {}, async (running) => {
      const { runtime, id, pid, rootfs } = running;
      const freezer = freezerOf(pid);
      freezer.freeze();
      try {
        const child = runtime.spawn(["exec", "--ignore-paused", id, "sh", "-c", "echo > /ran"]);
        const end = ended(child);
        await until("it to come in", () => others(running, "freezer").length > 0);
        child.kill("SIGKILL");
        await end;
      } finally {
        freezer.thaw();
      }
      await until("nobody to be left", () => others(running, "freezer").length === 0);
      assert.ok(!existsSync(join(rootfs, "ran")));
    }),
);

test(
  "a runtime that is killed at any moment leaves nothing, or a program whose pid it has told",
  { skip: unready },
  () =>
    withRunning(ours, {}, async (running) => {
      const { runtime, id, files } = running;
      let begun = 0;
      for (let round = 0; round < 40; round++) {
        const pidFile = join(files, `pid-${round}`);
        const child = runtime.spawn(["exec", "--pid-file", pidFile, id, "sleep", "1000"]);
        const end = ended(child);
        await sleep(round);
        child.kill("SIGKILL");
        await end;
        const left = await settled(running);
        assert.ok(left.length <= 1, `${left.length} programs of one exec`);
        for (const pid of left) {
          begun++;
          assert.equal(readFileSync(pidFile, "utf8"), String(pid));
          process.kill(pid, "SIGKILL");
        }
        await until("nobody to be left", () => others(running).length === 0);
      }
      assert.ok(begun < 40, "no exec was killed early enough to tell");
      assert.deepEqual(
        readdirSync(files).filter((name) => !/^pid-\d+$/.test(name) && !/^\.pid-/.test(name)),
        [],
      );
    }),
);

test("a plan that was kept from another call says nothing of this caller's limits", { skip: unready }, () =>
  withRunning(ours, {}, async ({ runtime, id }) => {
    const look = (hard: number) =>
      command([
        ...["sh", "-c", `ulimit -Sn 100; ulimit -Hn ${hard}; exec "$@"`, "sh"],
        ...[...runtime.argv, "exec", id, "grep", "open files", "/proc/self/limits"],
      ]);
    for (const hard of [4000, 4000, 3000, 2000]) {
      const { stdout, stderr } = await look(hard);
      assert.match(stdout, new RegExp(`^Max open files +100 +${hard} `), stderr);
    }
  }),
);
