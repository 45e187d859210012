/** What else a container takes over from who started it: descriptors, standard streams, sockets, a service manager. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ended, type Outcome } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { Peer, terminalPeer } from "../lib/terminal-peer.ts";
import { until } from "../lib/until.ts";
import { type Bundle, containerId, type Json, type Runtime, unready, withBundle } from "./bundle.ts";

const both = ["gantry-oci", "runc"] as const;
const skipPeer = unready || needs(...terminalPeer.needs);

/** Runs a verb with descriptors from 3 on ("ignore" is /dev/null) and pipes as its stdio. */
async function callWith(
  runtime: Runtime,
  args: readonly string[],
  fds: readonly number[],
  env: NodeJS.ProcessEnv = {},
  prefix: readonly string[] = [],
): Promise<Pick<Outcome, "code" | "stdout" | "stderr">> {
  const [program, ...rest] = [...prefix, runtime.program, "--root", runtime.root, ...args];
  const child = spawn(program!, rest, {
    stdio: ["ignore", "pipe", "pipe", ...fds],
    env: { ...process.env, ...env },
  });
  const texts = ["", ""];
  child.stdout!.on("data", (chunk) => (texts[0] += chunk));
  child.stderr!.on("data", (chunk) => (texts[1] += chunk));
  const code = await ended(child);
  return { code, stdout: texts[0]!, stderr: texts[1]! };
}

/** Descriptors of files that say their own number: 3 says "three"… */
async function withFiles<T>(bundle: Bundle, count: number, body: (fds: readonly number[]) => Promise<T>) {
  const fds = Array.from({ length: count }, (_, index) => {
    const path = join(bundle.files, `given-${index}`);
    writeFileSync(path, `given ${index}\n`);
    return openSync(path, "r");
  });
  try {
    return await body(fds);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

for (const name of both) {
  test(`${name}: --preserve-fds hands on the descriptors from 3 on, and no other`, { skip: unready }, () =>
    withBundle(name, "cat <&3; cat <&4; (cat <&5) 2>&1 || true", {}, (runtime, bundle) =>
      withFiles(bundle, 3, async (fds) => {
        const run = ["run", "--preserve-fds", "2", "--bundle", bundle.path, containerId()];
        const { stdout, stderr } = await callWith(runtime, run, fds);
        assert.match(stdout, /^given 0\ngiven 1\n.*Bad file descriptor/s, stderr);
      }),
    ),
  );

  test(
    `${name}: sockets of a service manager come before the preserved descriptors`,
    {
      skip: unready,
    },
    () =>
      withBundle(
        name,
        'cat <&3; cat <&4; echo "$LISTEN_FDS $LISTEN_PID $$"',
        { process: { env: ["PATH=/bin", "LISTEN_FDS=9"] } },
        (runtime, bundle) =>
          withFiles(bundle, 3, async (fds) => {
            const run = ["run", "--preserve-fds", "1", "--bundle", bundle.path, containerId()];
            const asManager = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "manager"];
            const { stdout, stderr } = await callWith(runtime, run, fds, { LISTEN_FDS: "1" }, asManager);
            assert.equal(stdout, "given 0\ngiven 1\n1 1 1\n", stderr);
          }),
      ),
  );

  test(`${name}: sockets that are meant for another process are left alone`, { skip: unready }, () =>
    withBundle(name, 'echo "<$LISTEN_FDS>"; (cat <&3) 2>&1 || true', {}, (runtime, bundle) =>
      withFiles(bundle, 1, async (fds) => {
        const run = ["run", "--bundle", bundle.path, containerId()];
        const env = { LISTEN_FDS: "1", LISTEN_PID: "1" };
        const { stdout } = await callWith(runtime, run, fds, env);
        assert.match(stdout, /^<>\n.*Bad file descriptor/s);
      }),
    ),
  );

  test(`${name}: a descriptor that is asked for and not there is refused`, { skip: unready }, () =>
    withBundle(name, "true", {}, async (runtime, bundle) => {
      // so many that no program has as many of its own
      const run = ["run", "--preserve-fds", "60", "--bundle", bundle.path, containerId()];
      const { code, stderr } = await callWith(runtime, run, []);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /unable to stat preserved-fd (\d+) \(of 60\): stat \/proc\/self\/fd\/\d+: no such file or directory/,
      );
    }),
  );

  for (const inUserNamespace of [false, true])
    test(`${name}: a pipe becomes that of the program's user${inUserNamespace ? " in a user namespace as well" : ""}, so that it can open /dev/stdout`, {
      skip: unready,
    }, () => {
      const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
      const kinds = ["pid", "network", "ipc", "uts", "mount", ...(inUserNamespace ? ["user"] : [])];
      const patch = {
        process: { user: { uid: 1000, gid: 1000 } },
        linux: {
          namespaces: kinds.map((type) => ({ type })),
          ...(inUserNamespace ? { uidMappings: ids, gidMappings: ids } : {}),
        },
      };
      const script = "echo there > /dev/stdout; stat -L -c %u /proc/self/fd/1";
      return withBundle(name, script, patch, async (runtime, bundle) => {
        // what a spawned program gets from here are sockets, which have no name to open
        const piped = ["sh", "-c", '"$@" | cat', "sh"];
        const run = ["run", "--bundle", bundle.path, containerId()];
        const { stdout, stderr } = await callWith(runtime, run, [], {}, piped);
        assert.equal(stdout, "there\n1000\n", stderr);
      });
    });

  test(
    `${name}: a file of the caller's is given away when the container is left alone, and only then`,
    {
      skip: unready,
    },
    () =>
      withBundle(name, "true", { process: { user: { uid: 1000, gid: 1000 } } }, async (runtime, bundle) => {
        const owner = async (...args: string[]) => {
          const file = join(bundle.files, `out-${args.length}`);
          const fd = openSync(file, "w");
          const child = spawn(
            runtime.program,
            ["--root", runtime.root, "run", ...args, "--bundle", bundle.path, containerId()],
            { stdio: ["ignore", fd, "inherit"] },
          );
          closeSync(fd);
          assert.equal(await ended(child), 0);
          return statSync(file).uid;
        };
        assert.equal(await owner(), 0);
        assert.equal(await owner("--detach"), 1000);
      }),
  );

  test(`${name}: --keep leaves the stopped container to be looked at`, { skip: unready }, () =>
    withBundle(name, "exit 3", {}, async (runtime, bundle) => {
      const id = containerId();
      const { code } = await runtime.call(["run", "--keep", "--bundle", bundle.path, id]);
      assert.equal(code, 3);
      const { status } = JSON.parse((await runtime.call(["state", id])).stdout) as { status: string };
      assert.equal(status, "stopped");
      assert.equal((await runtime.call(["delete", id])).code, 0);
      assert.match((await runtime.call(["state", id])).stderr, /does not exist/);
    }),
  );

  test(
    `${name}: a program has a session keyring of its own, unless that is not wanted`,
    {
      skip: unready || needs("/proc/keys"),
    },
    () =>
      withBundle(name, "cat /proc/keys", {}, async (runtime, bundle) => {
        const names = async (...args: string[]) => {
          const id = containerId();
          const { stdout } = await runtime.call(["run", ...args, "--bundle", bundle.path, id]);
          return stdout.includes(`_ses.${id}`);
        };
        assert.equal(await names(), true);
        assert.equal(await names("--no-new-keyring"), false);
      }),
  );

  test(`${name}: --no-subreaper is taken`, { skip: unready }, () =>
    withBundle(name, "exit 5", {}, async (runtime, bundle) => {
      const run = ["run", "--no-subreaper", "--bundle", bundle.path, containerId()];
      assert.equal((await runtime.call(run)).code, 5);
    }),
  );
}

test(
  "a signal that comes while a container is made in the foreground leaves nothing half made",
  {
    skip: unready,
  },
  () =>
    withBundle(
      "gantry-oci",
      "echo whole",
      (files) => {
        const hook = (name: string) => [
          { path: "/bin/sh", args: ["sh", "-c", `kill -TERM $PPID; : > ${join(files, name)}`] },
        ];
        return {
          hooks: { createRuntime: hook("first"), poststart: hook("second"), poststop: hook("third") },
        };
      },
      async (runtime, bundle) => {
        const run = ["run", "--bundle", bundle.path, containerId()];
        const { code, stdout, stderr } = await runtime.call(run);
        // process 1 of a pid namespace that handles no SIGTERM does not get it (pid_namespaces(7))
        assert.deepEqual([code, stdout], [0, "whole\n"], stderr);
        for (const name of ["first", "second", "third"])
          assert.ok(existsSync(join(bundle.files, name)), name);
        assert.deepEqual(readdirSync(runtime.root), []);
      },
    ),
);

test(
  "a hole among the preserved descriptors is refused, whatever the runtime has opened there itself",
  {
    skip: unready,
  },
  () =>
    withBundle("gantry-oci", "true", {}, (runtime, bundle) =>
      withFiles(bundle, 1, async ([fd]) => {
        for (const [open, missing] of [
          ["4<&0", 3],
          ["3<&0 5<&0", 4],
          ["3<&0 4<&0", 5],
        ] as const) {
          const run = ["run", "--preserve-fds", "3", "--bundle", bundle.path, containerId()];
          const closed = ["sh", "-c", `exec 3<&- 4<&- 5<&- 6<&-; exec "$@" ${open}`, "sh"];
          const { code, stderr } = await callWith(runtime, run, [fd!], {}, closed);
          assert.equal(code, 1);
          assert.match(
            stderr,
            new RegExp(
              `unable to stat preserved-fd ${missing - 3} \\(of 3\\): stat /proc/self/fd/${missing}:`,
            ),
          );
        }
      }),
    ),
);

test("LISTEN_PID is the pid that the program has where it shares the host's", { skip: unready }, () =>
  withBundle(
    "gantry-oci",
    'echo "$LISTEN_PID $$"',
    { linux: { namespaces: ["network", "ipc", "uts", "mount"].map((type) => ({ type })) } },
    (runtime, bundle) =>
      withFiles(bundle, 1, async (fds) => {
        const asManager = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "manager"];
        const run = ["run", "--bundle", bundle.path, containerId()];
        const { stdout, stderr } = await callWith(runtime, run, fds, { LISTEN_FDS: "1" }, asManager);
        assert.match(stdout, /^(\d+) \1\n$/, stderr);
      }),
  ),
);

test("--pidfd-socket gets a pidfd of the container's process", { skip: skipPeer }, () =>
  withBundle("gantry-oci", "exec sleep 100", {}, async (runtime, bundle) => {
    const socket = join(bundle.files, "pidfd.sock");
    const id = containerId();
    const peer = new Peer(await terminalPeer.build(), ["pidfd", socket]);
    try {
      await peer.prints(/^listening$/m);
      const args = ["create", "--pidfd-socket", socket, "--bundle", bundle.path, id];
      assert.equal((await runtime.call(args)).code, 0);
      const [, payload, pid] = await peer.prints(/^payload=(\w+) pid=(\d+)$/m);
      const state = JSON.parse((await runtime.call(["state", id])).stdout) as { pid: number };
      assert.deepEqual([payload, Number(pid)], ["standard", state.pid]);
    } finally {
      peer.end();
    }
  }),
);

/** A service manager, and the environment of what it starts. */
async function withManager(
  bundle: Bundle,
  body: (manager: Peer, env: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  const socket = join(bundle.files, "manager.sock");
  const manager = new Peer(await terminalPeer.build(), ["manager", socket]);
  try {
    await manager.prints(/^listening$/m);
    await body(manager, { NOTIFY_SOCKET: socket });
  } finally {
    manager.end();
  }
}

/** Says READY=1 as sd_notify(3) does: busybox has no tool for it, the tests' own program has. */
const saysReady: Json = { process: { args: ["/peer", "say", "READY=1\nSTATUS=not for the host"] } };

async function withReadiness(
  name: Runtime["name"],
  body: (runtime: Runtime, bundle: Bundle, manager: Peer, env: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  const program = await terminalPeer.build();
  await withBundle(name, "", saysReady, async (runtime, bundle) => {
    copyFileSync(program, join(bundle.rootfs, "peer"));
    await withManager(bundle, (manager, env) => body(runtime, bundle, manager, env));
  });
}

/** What the manager is told; runc began to send barriers with version 1.2. */
async function told(name: Runtime["name"], manager: Peer, pid: number): Promise<void> {
  const barrier = name === "runc" ? "" : "BARRIER=1 with a descriptor\n";
  await manager.prints(barrier ? /^BARRIER=.*\n/m : /^MAINPID=.*\n/m);
  assert.equal(manager.output, `listening\nREADY=1\nMAINPID=${pid}\n${barrier}`);
}

for (const name of both) {
  test(
    `${name}: a service manager hears that a container is ready, and what process it is`,
    {
      skip: skipPeer,
    },
    () =>
      withReadiness(name, async (runtime, bundle, manager, env) => {
        const id = containerId();
        const { code, stderr } = await runtime.call(["run", "--detach", "--bundle", bundle.path, id], {
          env,
        });
        assert.equal(code, 0, stderr);
        const { pid } = JSON.parse((await runtime.call(["state", id])).stdout) as { pid: number };
        await told(name, manager, pid);
      }),
  );

  test(`${name}: after create it is start that waits for readiness`, { skip: skipPeer }, () =>
    withReadiness(name, async (runtime, bundle, manager, env) => {
      const id = containerId();
      const created = await runtime.call(["create", "--bundle", bundle.path, id], { env });
      assert.equal(created.code, 0, created.stderr);
      assert.equal(manager.output, "listening\n");
      const { pid } = JSON.parse((await runtime.call(["state", id])).stdout) as { pid: number };
      const started = await runtime.call(["start", id], { env });
      assert.equal(started.code, 0, started.stderr);
      await told(name, manager, pid);
      assert.equal((await runtime.call(["delete", "--force", id])).code, 0);
    }),
  );

  test(`${name}: in the foreground the command itself is the process to watch`, { skip: skipPeer }, () =>
    withReadiness(name, async (runtime, bundle, manager, env) => {
      const id = containerId();
      const child = spawn(runtime.program, ["--root", runtime.root, "run", "--bundle", bundle.path, id], {
        env: { ...process.env, ...env },
        stdio: "ignore",
      });
      const over = ended(child);
      await told(name, manager, child.pid!);
      await until(
        "the container to be up",
        async () => (await runtime.call(["kill", id, "KILL"])).code === 0,
      );
      await over;
    }),
  );
}

test("a container that ends without being ready is waited for no longer", { skip: skipPeer }, () =>
  withBundle("gantry-oci", "test -S $NOTIFY_SOCKET && echo there > /out", {}, (runtime, bundle) =>
    withManager(bundle, async (manager, env) => {
      const id = containerId();
      const { code } = await runtime.call(["run", "--detach", "--bundle", bundle.path, id], { env });
      assert.equal(code, 0);
      assert.equal(manager.output, "listening\n");
      assert.equal(readFileSync(join(bundle.rootfs, "out"), "utf8"), "there\n");
    }),
  ),
);

test("a service manager that is gone stops no container", { skip: unready }, () =>
  withBundle("gantry-oci", "echo $NOTIFY_SOCKET", {}, async (runtime, bundle) => {
    const env = { NOTIFY_SOCKET: join(bundle.files, "nobody") };
    const { code, stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()], {
      env,
    });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "/run/notify/notify.sock\n");
    assert.deepEqual(readdirSync(runtime.root), []);
  }),
);
