/** SCMP_ACT_NOTIFY: the agent gets one message with state and descriptor, and the container does as it says. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command, must } from "../lib/command.ts";
import { compiled } from "../lib/compiled.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";
import { type Bundle, containerId, type Json, runOnce, unready, withBundle } from "./bundle.ts";

const agentProgram = compiled("test/kernel/agent.c");
const skip = unready || needs(...agentProgram.needs);
const both = ["gantry-oci", "runc"] as const;

function notify(files: string, names: readonly string[], more: Json = {}): Json {
  return {
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: join(files, "agent.sock"),
      listenerMetadata: "two words",
      syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }],
      ...more,
    },
  };
}

interface Agent extends AsyncDisposable {
  /** What it has printed. */
  output(): string;
  /** The document that came with the descriptor. */
  state(count?: number): Record<string, unknown>;
}

async function startAgent({ files }: Bundle): Promise<Agent> {
  const program = await agentProgram.build();
  const state = join(files, "agent.json");
  const child: ChildProcess = spawn(program, [join(files, "agent.sock"), state], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let output = "";
  child.stdout!.on("data", (chunk) => {
    output += String(chunk);
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await until("the agent to listen", () => output.includes("ready"));
  return {
    output: () => output,
    state: (count) =>
      JSON.parse(readFileSync(count ? `${state}.${count}` : state, "utf8")) as Record<string, unknown>,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

for (const name of both)
  for (const noNewPrivileges of [false, true])
    test(
      `${name}: an agent gets the listener and decides, ${noNewPrivileges ? "with" : "without"} no_new_privs`,
      { skip },
      () =>
        withBundle(
          name,
          "mkdir /tmp/x 2>&1; touch /tmp/y && echo made",
          (files) => ({
            process: { noNewPrivileges },
            annotations: { "org.example.what": "kept" },
            linux: notify(files, ["mkdir", "mkdirat"]),
          }),
          async (runtime, bundle) => {
            await using agent = await startAgent(bundle);
            const id = containerId();
            const { code, stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, id]);
            assert.equal(code, 0, stderr);
            assert.match(stdout, /No medium found\nmade\n$/);
            assert.match(agent.output(), /^ready\ndescriptors 1\nmore (0|-1)\ncall \d+\n/);
            const { fds, metadata, pid, state } = agent.state() as {
              fds: string[];
              metadata: string;
              pid: number;
              state: Record<string, unknown>;
            };
            assert.deepEqual([fds, metadata], [["seccompFd"], "two words"]);
            assert.ok(pid > 1);
            assert.deepEqual([state.id, state.status, state.pid], [id, "creating", pid]);
            assert.equal(state.bundle, bundle.path);
            assert.deepEqual(state.annotations, { "org.example.what": "kept" });
          },
        ),
    );

test("create hands the listener over before it returns, also with no_new_privs", { skip }, () =>
  withBundle(
    "gantry-oci",
    "mkdir /tmp/x 2>/out; sleep 100",
    (files) => ({ process: { noNewPrivileges: true }, linux: notify(files, ["mkdir", "mkdirat"]) }),
    async (runtime, bundle) => {
      await using agent = await startAgent(bundle);
      const id = containerId();
      const created = await runtime.call(["create", "--bundle", bundle.path, id]);
      assert.equal(created.code, 0, created.stderr);
      assert.match(agent.output(), /descriptors 1/);
      assert.equal((await runtime.call(["start", id])).code, 0);
      const out = join(bundle.rootfs, "out");
      await until("the agent's answer", () => existsSync(out) && readFileSync(out, "utf8").includes("\n"));
      assert.match(readFileSync(out, "utf8"), /No medium found/);
    },
  ),
);

test("a listener may ask to be waited for by none but fatal signals", { skip }, () =>
  withBundle(
    "gantry-oci",
    "mkdir /tmp/x 2>&1; true",
    (files) => ({
      linux: notify(files, ["mkdir", "mkdirat"], { flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] }),
    }),
    async (runtime, bundle) => {
      await using agent = await startAgent(bundle);
      const { stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
      assert.match(stdout, /No medium found/, stderr);
      assert.match(agent.output(), /call \d+/);
    },
  ),
);

test("exec hands over a listener of its own, with the state of a container that runs", { skip }, () =>
  withBundle(
    "gantry-oci",
    "exec sleep 100",
    (files) => ({ linux: notify(files, ["mkdir", "mkdirat"]) }),
    async (runtime, bundle) => {
      await using agent = await startAgent(bundle);
      const id = containerId();
      const started = await runtime.call(["run", "--detach", "--bundle", bundle.path, id]);
      assert.equal(started.code, 0, started.stderr);
      const init = (agent.state() as { pid: number }).pid;
      for (const [count, more] of [
        [1, []],
        [2, ["--no-new-privs"]],
      ] as const) {
        const { stdout, stderr } = await runtime.call([
          ...["exec", ...more, id],
          ...["sh", "-c", "mkdir /tmp/x 2>&1; touch /tmp/y && echo made"],
        ]);
        assert.match(stdout, /No medium found\nmade\n$/, stderr);
        const { pid, state } = agent.state(count) as { pid: number; state: Record<string, unknown> };
        assert.notEqual(pid, init);
        assert.deepEqual([state.id, state.status, state.pid], [id, "running", init]);
      }
    },
  ),
);

test("a user without privileges hands a listener over too", { skip: skip || needs("setpriv") }, () =>
  withBundle(
    "gantry-oci",
    "mkdir /tmp/x 2>&1; true",
    (files) => ({
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      ],
      linux: {
        namespaces: ["pid", "network", "ipc", "uts", "mount", "user"].map((type) => ({ type })),
        uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        ...notify(files, ["mkdir", "mkdirat"]),
      },
    }),
    async (runtime, bundle) => {
      await using agent = await startAgent(bundle);
      await must(["chown", "-R", "1000:1000", bundle.path, bundle.files]);
      const user = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
      const run = [
        runtime.program,
        "--root",
        join(bundle.path, "state"),
        "run",
        "--bundle",
        bundle.path,
        containerId(),
      ];
      const { stdout, stderr } = await command([...user, ...run], { timeoutMs: 20_000 });
      assert.match(stdout, /No medium found/, stderr);
      assert.equal((agent.state() as { fds: string[] }).fds[0], "seccompFd");
    },
  ),
);

test("calls that the executor itself makes may go to the agent", { skip }, () =>
  withBundle(
    "gantry-oci",
    "echo ran",
    (files) => ({
      linux: notify(files, [
        ...["sendmsg", "recvmsg", "read", "close", "openat", "open", "newfstatat", "stat", "fstat"],
        ...["faccessat", "faccessat2", "access", "prctl", "capset", "setgroups", "setresuid", "setresgid"],
        ...["setuid", "setgid", "execve", "exit_group", "fcntl"],
      ]),
    }),
    async (runtime, bundle) => {
      await using agent = await startAgent(bundle);
      const { code, stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, "ran\n");
      assert.match(agent.output(), /call 59\n/);
    },
  ),
);

test("a filter that refuses sendmsg and recvmsg does not keep a container from being created", {
  skip,
}, async () => {
  const linux = {
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["sendmsg", "recvmsg", "recvfrom"], action: "SCMP_ACT_ERRNO" }],
    },
  };
  for (const name of both)
    await withBundle(name, "echo ran > /out", { linux }, async (runtime, bundle) => {
      const id = containerId();
      const created = await runtime.call(["create", "--bundle", bundle.path, id]);
      assert.equal(created.code, 0, created.stderr);
      assert.equal((await runtime.call(["start", id])).code, 0);
      await until("the program to run", () => existsSync(join(bundle.rootfs, "out")));
    });
});

const refusals: readonly (readonly [what: string, seccomp: Json, wanted: RegExp])[] = [
  ["an agent that is not there", {}, /agent\.sock/],
  ["no path for the listener", { listenerPath: "", listenerMetadata: "" }, /listenerPath is not set/],
  [
    "notification as the default action",
    { defaultAction: "SCMP_ACT_NOTIFY" },
    /SCMP_ACT_NOTIFY cannot be used as default action/,
  ],
  [
    "notification of write",
    { syscalls: [{ names: ["write"], action: "SCMP_ACT_NOTIFY" }] },
    /SCMP_ACT_NOTIFY cannot be used for the write syscall/,
  ],
];

for (const [what, seccomp, wanted] of refusals)
  test(`${what} is refused, and nothing runs`, { skip }, async () => {
    for (const name of both) {
      const { code, stdout, stderr } = await runOnce(name, "echo ran", (files) => ({
        linux: notify(files, ["mkdir"], seccomp),
      }));
      assert.equal(code, 1, name);
      assert.equal(stdout, "", name);
      assert.match(stderr, wanted, name);
    }
  });

test("metadata for nobody is refused", { skip }, async () => {
  const { code, stderr } = await runOnce("gantry-oci", "true", {
    linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", listenerMetadata: "x" } },
  });
  assert.equal(code, 1);
  assert.match(stderr, /\/linux\/seccomp\/listenerMetadata: .*needs a listenerPath/);
});
