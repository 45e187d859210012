import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command, ended } from "../lib/command.ts";
import { skipped } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { cgroupsPathFor, containerId, type Json, unready, withBundle } from "./bundle.ts";
import { cgroupMembers, freezerOf, hasV1 } from "./own-cgroups.ts";
import { withRunning } from "./running.ts";

const both = ["gantry-oci", "runc"] as const;

/** On v2 nothing can be beside a controller: a cgroup with others below it holds no processes. */
const needsV1 = !unready && !hasV1("pids") && skipped("needs a v1 hierarchy of pids");

/** The reason that a runtime gives, as JSON in its log, which is what callers read. */
function reason(stderr: string): string {
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(stderr.trim().split("\n").at(-1)!)?.[1] ?? stderr;
  return message.replaceAll('\\"', '"');
}

/** The container stays as it was: one process. */
async function alone(pid: number): Promise<void> {
  await until("only init to be left", () => cgroupMembers(pid, "pids").length === 1);
  assert.deepEqual(cgroupMembers(pid, "pids"), [pid]);
}

const environment = { process: { env: ["PATH=/bin", "OF_CONFIG=1"] } };

for (const name of both) {
  test(`${name}: exec passes stdin, stdout, stderr and the status through`, { skip: unready }, () =>
    withRunning(name, {}, async ({ runtime, id, exec, pid }) => {
      const args = ["exec", id, "sh", "-c", "cat; echo err >&2; exit 7"];
      const { code, stdout, stderr } = await runtime.call(args, { stdin: "to the program" });
      assert.deepEqual([code, stdout, stderr], [7, "to the program", "err\n"]);
      assert.equal((await exec(["sh", "-c", "kill -9 $$"])).code, 137);
      assert.equal((await exec(["sh", "-c", "kill -15 $$"])).code, 143);
      await alone(pid);
    }),
  );

  test(`${name}: exec takes the process of the config, and flags over it`, { skip: unready }, () =>
    withRunning(
      name,
      { process: { ...environment.process, cwd: "/tmp", user: { uid: 0, gid: 0, additionalGids: [3] } } },
      async ({ shell }) => {
        const look = 'id; pwd; echo "$HOME $OF_CONFIG $MINE"; umask';
        assert.equal(await shell(look), "uid=0(root) gid=0(root) groups=3\n/tmp\n/root 1 \n0022\n");
        assert.equal(
          await shell(look, ["-u", "1000:1001", "-g", "5", "-g", "6", "--cwd", "/bin", "-e", "MINE=a b"]),
          "uid=1000(web) gid=1001 groups=3,5,6\n/bin\n/home/web 1 a b\n0022\n",
        );
        // the group stays where only the user is given, and a later value wins
        assert.match(await shell(look, ["--user", "7", "-e", "HOME=/x"]), /^uid=7 gid=0/);
        assert.match(await shell(look, ["--env", "HOME=/x", "--env", "OF_CONFIG=2"]), /^\/x 2 $/m);
      },
    ),
  );

  test(
    `${name}: exec has the config's capabilities and those added, none of them inheritable`,
    { skip: unready },
    () =>
      withRunning(name, {}, async ({ shell }) => {
        const look = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status";
        const sets = (text: string) => text.split("\n").map((line) => line.split(/\s+/)[1]);
        const own = "0000000020000420";
        assert.deepEqual(sets(await shell(look)).slice(0, 4), ["0000000000000000", own, own, own]);
        const more = await shell(look, ["-c", "CAP_NET_RAW", "-c", "CAP_CHOWN"]);
        const added = "0000000020002421";
        assert.deepEqual(sets(more).slice(0, 4), ["0000000000000000", added, added, added]);
        assert.match(await shell(look), /NoNewPrivs:\s0/);
        assert.match(await shell(look, ["--no-new-privs"]), /NoNewPrivs:\s1/);
        assert.match(await shell(look, ["--no-new-privs=false"]), /NoNewPrivs:\s0/);
        assert.match(await shell(look, ["-u", "1000"]), /CapEff:\s0000000000000000/);
      }),
  );

  test(`${name}: exec is in the cgroups and namespaces of process 1`, { skip: unready }, () =>
    withRunning(
      name,
      {
        linux: {
          cgroupsPath: cgroupsPathFor(`gantrytest-exec-${process.pid}-${name}`),
          resources: { pids: { limit: 20 } },
        },
      },
      async ({ shell }) => {
        const [own, inits] = (await shell("cat /proc/self/cgroup; echo =; cat /proc/1/cgroup")).split("=\n");
        assert.equal(own, inits);
        assert.match(own!, /gantrytest-exec/);
        const namespaces = (pid: string) =>
          shell(`for n in cgroup ipc mnt net pid user uts time; do readlink /proc/${pid}/ns/$n; done`);
        // a shell reads the links of the process that reads them
        assert.equal(await namespaces("self"), await namespaces("1"));
        assert.equal(
          await shell("cat /proc/sys/kernel/hostname; set -- /proc/[0-9]*; echo $#"),
          "testbox\n2\n",
        );
      },
    ),
  );

  test(`${name}: exec joins a user namespace and is root in it`, { skip: unready }, () =>
    withRunning(name, userNamespace, async ({ shell, pid }) => {
      assert.equal(await shell("readlink /proc/self/ns/user"), `${readlinkSync(`/proc/${pid}/ns/user`)}\n`);
      assert.match(
        await shell("id; cat /proc/self/uid_map"),
        /^uid=0\(root\) gid=0\(root\).*\n\s+0\s+100000\s+65536\n$/,
      );
      assert.match(await shell("id", ["-u", "1000:1000"]), /^uid=1000\(web\) gid=1000/);
    }),
  );

  test(
    `${name}: a detached exec leaves the pid of its program, and its caller gets the status`,
    { skip: unready },
    () =>
      withRunning(name, {}, async ({ runtime, id, pid, files, rootfs }) => {
        const pidFile = join(files, "pid");
        const script = "echo $$ > /out; read go < /go; exit 9";
        assert.equal((await command(["mkfifo", join(rootfs, "go")])).code, 0);
        const reaper = await subreaper([
          ...runtime.argv,
          ...["exec", "--detach", "--pid-file", pidFile, id, "sh", "-c", script],
        ]);
        await until("the runtime to leave", () => reaper.text().includes("left 0\n"));
        const text = readFileSync(pidFile, "utf8");
        assert.match(text, /^\d+$/);
        assert.ok(cgroupMembers(pid, "pids").includes(Number(text)), "the pid is the program's");
        const status = readFileSync(`/proc/${text}/status`, "utf8");
        assert.match(status, new RegExp(`^PPid:\\t${reaper.pid}$`, "m"));
        await until("the program to run", () => existsSync(join(rootfs, "out")));
        assert.match(
          status,
          new RegExp(`^NSpid:\\t${text}\\t${readFileSync(join(rootfs, "out"), "utf8")}`, "m"),
        );
        writeFileSync(join(rootfs, "go"), "go\n");
        assert.equal(await reaper.end, 0);
        assert.match(reaper.text(), new RegExp(`^${text} ended 9$`, "m"));
        await alone(pid);
      }),
  );

  test(`${name}: exec --process takes all from the file`, { skip: unready }, () =>
    withRunning(name, environment, async ({ runtime, id, files, rootfs }) => {
      const file = join(files, "process.json");
      const call = async (process: Json, ...more: string[]) => {
        writeFileSync(file, JSON.stringify(process));
        return await runtime.call(["exec", "--process", file, ...more, id]);
      };
      const script =
        'id -u; pwd; echo "$A$OF_CONFIG"; grep -c "Max file size  *100  *200 " /proc/self/limits; grep CapEff /proc/self/status; exit 3';
      const { code, stdout, stderr } = await call({
        user: { uid: 1000, gid: 1000, umask: 0o27 },
        args: ["sh", "-c", script],
        env: ["PATH=/bin", "A=b"],
        cwd: "/bin",
        rlimits: [{ type: "RLIMIT_FSIZE", soft: 100, hard: 200 }],
      });
      assert.equal(stdout, "1000\n/bin\nb\n1\nCapEff:\t0000000000000000\n", stderr);
      assert.equal(code, 3);
      const detached = await call(
        { user: {}, args: ["sh", "-c", "echo > /ran"], env: ["PATH=/bin"], cwd: "/" },
        "-d",
      );
      assert.equal(detached.code, 0, detached.stderr);
      await until("it to run", () => existsSync(join(rootfs, "ran")));
    }),
  );

  test(`${name}: exec refuses a paused container, unless told to wait for it`, { skip: unready }, () =>
    withRunning(name, {}, async ({ exec, pid, rootfs }) => {
      const freezer = freezerOf(pid);
      freezer.freeze();
      try {
        await until("it to freeze", freezer.isFrozen);
        const { code, stderr } = await exec(["true"]);
        assert.equal(code, 255);
        assert.equal(
          reason(stderr),
          "exec failed: cannot exec in a paused container (use --ignore-paused to override)",
        );
        const waiting = exec(["sh", "-c", "echo ran > /ran"], ["--ignore-paused"]);
        await until("it to come in", () => cgroupMembers(pid, "freezer").length > 1);
        assert.ok(!existsSync(join(rootfs, "ran")));
        freezer.thaw();
        assert.equal((await waiting).code, 0);
        assert.ok(existsSync(join(rootfs, "ran")));
      } finally {
        freezer.thaw();
      }
    }),
  );

  test(
    `${name}: exec refuses a container that has stopped, and one that is not there`,
    { skip: unready },
    () =>
      withRunning(name, {}, async ({ exec, runtime, id }) => {
        assert.equal((await runtime.call(["kill", id, "KILL"])).code, 0);
        await until("its end", async () => (await runtime.call(["state", id])).stdout.includes('"stopped"'));
        const stopped = await exec(["true"]);
        assert.equal(stopped.code, 255);
        assert.equal(reason(stopped.stderr), "exec failed: cannot exec in a stopped container");
        const missing = await runtime.call(["exec", "no-such", "true"]);
        assert.equal(missing.code, 255);
        assert.equal(reason(missing.stderr), "exec failed: container does not exist");
      }),
  );

  test(`${name}: exec works in a container that waits for start`, { skip: unready }, () =>
    withBundle(name, "exec sleep 1000", {}, async (runtime, bundle) => {
      const id = containerId();
      assert.equal((await runtime.call(["create", "--bundle", bundle.path, id])).code, 0);
      const { code, stdout, stderr } = await runtime.call(["exec", id, "cat", "/proc/sys/kernel/hostname"]);
      assert.deepEqual([code, stdout], [0, "testbox\n"], stderr);
    }),
  );

  test(`${name}: signals for the command go to the program`, { skip: unready }, () =>
    withRunning(name, {}, async ({ runtime, id, rootfs }) => {
      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const) {
        const script = `trap 'exit 42' ${signal.slice(3)}; : > /${signal}; while :; do sleep 0.05; done`;
        const child = runtime.spawn(["exec", id, "sh", "-c", script]);
        await until("the program to run", () => existsSync(join(rootfs, signal)));
        child.kill(signal);
        assert.equal(await ended(child), 42, signal);
      }
    }),
  );

  test(
    `${name}: --preserve-fds passes descriptors with their numbers, and a hole is an error`,
    { skip: unready },
    () =>
      withRunning(name, {}, async ({ runtime, id, files }) => {
        const file = join(files, "kept");
        writeFileSync(file, "kept");
        const fds = [openSync(file, "r"), openSync(file, "r")];
        const [program, ...global] = runtime.argv;
        const call = async (count: number, given: readonly ("ignore" | number)[], script: string) => {
          const child = spawn(
            program,
            [...global, "exec", "--preserve-fds", String(count), id, "sh", "-c", script],
            { stdio: ["ignore", "pipe", "pipe", ...given] },
          );
          const texts = ["", ""];
          child.stdout!.on("data", (chunk) => (texts[0] += chunk));
          child.stderr!.on("data", (chunk) => (texts[1] += chunk));
          return { code: await ended(child), stdout: texts[0]!, stderr: texts[1]! };
        };
        try {
          const script = "cat <&4; for n in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done; true";
          assert.equal((await call(2, fds, script)).stdout, "kept3\n4\n");
          assert.equal((await call(0, fds, script.replace("cat <&4; ", ""))).stdout, "");
          // runc gives its own away there
          if (name === "runc") return;
          const hole = await call(5, fds, "true");
          assert.equal(hole.code, 255);
          assert.match(
            reason(hole.stderr),
            /unable to stat preserved-fd: descriptor 5 of 5: bad file descriptor/,
          );
        } finally {
          for (const fd of fds) closeSync(fd);
        }
      }),
  );

  test(`${name}: --cgroup is a cgroup below the container's own`, { skip: unready || needsV1 }, () =>
    withRunning(name, {}, async ({ exec, shell, id }) => {
      const sub = `/sys/fs/cgroup/pids/${id}/below`;
      mkdirSync(sub);
      assert.match(
        await shell("cat /proc/self/cgroup", ["--cgroup", "pids:below"]),
        new RegExp(`:pids:/${id}/below$`, "m"),
      );
      assert.match(
        await shell("cat /proc/self/cgroup", ["--cgroup", "pids:/below"]),
        new RegExp(`:freezer:/${id}$`, "m"),
      );
      for (const [asked, wanted] of [
        ["pids:../..", /is not a sub cgroup path/],
        ["nothing:below", /unknown controller nothing in SubCgroupPaths/],
      ] as const) {
        const { code, stderr } = await exec(["true"], ["--cgroup", asked]);
        assert.equal(code, 255, asked);
        assert.match(reason(stderr), wanted);
      }
      assert.equal((await exec(["true"], ["--cgroup", "pids:none"])).code, 255);
      await until("it to be empty", () => readFileSync(join(sub, "cgroup.procs"), "utf8") === "");
      assert.equal((await command(["rmdir", sub])).code, 0);
    }),
  );

  test(`${name}: a console is refused in runc's words where it cannot be`, { skip: unready }, () =>
    withRunning(name, {}, async ({ exec }) => {
      const detached = await exec(["true"], ["-d", "-t"]);
      assert.equal(
        reason(detached.stderr),
        "exec failed: cannot allocate tty if runc will detach without setting console socket",
      );
      const without = await exec(["true"], ["--console-socket", "/no/such"]);
      assert.equal(
        reason(without.stderr),
        "exec failed: cannot use console socket if runc will not detach or allocate tty",
      );
      assert.deepEqual([detached.code, without.code], [255, 255]);
    }),
  );

  test(`${name}: many execs leave nothing`, { skip: unready }, () =>
    withRunning(name, {}, async ({ exec, id, pid, runtime }) => {
      const look = () => ({
        fds: readdirSync(`/proc/${pid}/fd`),
        // plans that are kept for the next time have a bounded number of places
        state: readdirSync(join(runtime.root, id))
          .filter((name) => !/^exec-(\d|1[0-5])\.plan$/.test(name))
          .sort(),
      });
      const before = look();
      for (let round = 0; round < 5; round++) {
        const codes = await Promise.all([0, 1, 2, 3].map((code) => exec(["sh", "-c", `exit ${code}`])));
        assert.deepEqual(
          codes.map(({ code }) => code),
          [0, 1, 2, 3],
        );
      }
      await alone(pid);
      assert.deepEqual(look(), before);
    }),
  );
}

/** Callers look for these words (dockerd, podman), so they are compared with runc's. */
const failures: readonly (readonly [args: readonly string[], flags: readonly string[], wanted: RegExp])[] = [
  [["nope"], [], /: exec: "nope": executable file not found in \$PATH$/],
  [["/nope"], [], /: exec: "\/nope": stat \/nope: no such file or directory$/],
  [["/etc/passwd"], [], /: exec: "\/etc\/passwd": permission denied$/],
  [["/etc"], [], /: exec: "\/etc": (is a directory|permission denied)$/],
  [["/etc/passwd/x"], [], /: exec: "\/etc\/passwd\/x": stat \/etc\/passwd\/x: not a directory$/],
  [
    ["true"],
    ["--cwd", "/nope"],
    /chdir to cwd \("\/nope"\) set in config.json failed: .*no such file or directory/,
  ],
  [["true"], ["--cwd", "bin"], /Cwd must be an absolute path/],
  [["true"], ["--process", "/no/such"], /open "?\/no\/such"?: no such file or directory/],
  [["true"], ["--user", "root"], /./],
  [[], [], /args (must not|cannot) be empty/],
];

test("what exec cannot start fails in runc's words, with 255", { skip: unready }, async () => {
  for (const name of both)
    await withRunning(name, {}, async ({ runtime, id, pid, files }) => {
      const [log, pidFile] = [join(files, "log"), join(files, "pid")];
      for (const [args, flags, wanted] of failures) {
        rmSync(log, { force: true });
        const given = ["--log", log, "--log-format", "json"];
        const { code, stderr } = await runtime.call([
          ...given,
          "exec",
          "--pid-file",
          pidFile,
          ...flags,
          id,
          ...args,
        ]);
        assert.equal(code, 255, stderr);
        const lines = readFileSync(log, "utf8").trim().split("\n");
        const last = JSON.parse(lines.at(-1)!) as { level: string; msg: string };
        assert.equal(last.level, "error");
        assert.match(last.msg, /^exec failed: /);
        assert.match(last.msg, wanted, name);
        assert.ok(!existsSync(pidFile), "a pid file is left");
      }
      await alone(pid);
    });
});

const userNamespace: Json = {
  linux: {
    namespaces: ["pid", "network", "ipc", "uts", "mount", "user"].map((type) => ({ type })),
    uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
    gidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
  },
};

interface Reaper {
  readonly pid: number;
  readonly end: Promise<number>;
  text(): string;
}

/** Starts a runtime below a process that orphans come to, as conmon and containerd's shim are. */
async function subreaper(argv: readonly string[]): Promise<Reaper> {
  const script = [
    "import ctypes, os, sys",
    "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)",
    "first = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])",
    "while True:",
    "  try: pid, status = os.wait()",
    "  except ChildProcessError: break",
    "  code = os.waitstatus_to_exitcode(status)",
    "  print('left' if pid == first else f'{pid} ended', code, flush=True)",
  ];
  const child = spawn("python3", ["-c", script.join("\n"), ...argv], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout!.on("data", (chunk) => {
    text += chunk;
  });
  return { pid: child.pid!, end: ended(child), text: () => text };
}
