import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { until } from "../lib/until.ts";
import {
  cgroupsPathFor,
  containerId,
  type Json,
  type Runtime,
  runOnce,
  unready,
  withBundle,
} from "./bundle.ts";

const both = ["gantry-oci", "runc"] as const;

/** The last message of a runtime, without its own name in it. */
function reason(stderr: string): string {
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(stderr.trim().split("\n").at(-1)!)?.[1] ?? stderr;
  return message.replaceAll('\\"', '"').replace(/^(gantry-oci|runc) /, "");
}

async function state(runtime: Runtime, id: string): Promise<Record<string, unknown>> {
  const { stdout, stderr, code } = await runtime.call(["state", id]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function gone(runtime: Runtime, id: string): Promise<void> {
  const { code, stderr } = await runtime.call(["state", id]);
  assert.equal(code, 1);
  assert.match(stderr, /container does not exist/);
  for (const hierarchy of readdirSync("/sys/fs/cgroup"))
    assert.ok(!existsSync(join("/sys/fs/cgroup", hierarchy, id)), `cgroup ${hierarchy}/${id} is left`);
}

for (const name of both) {
  test(`${name}: create waits, start lets go, kill ends, delete leaves nothing`, { skip: unready }, () =>
    withBundle(name, "echo ran > /out; exec sleep 100", {}, async (runtime, bundle) => {
      const id = containerId();
      const pidFile = join(bundle.files, "pid");
      const created = await runtime.call(["create", "--bundle", bundle.path, "--pid-file", pidFile, id]);
      assert.equal(created.code, 0, created.stderr);
      const before = await state(runtime, id);
      assert.equal(before.status, "created");
      assert.equal(String(before.pid), readFileSync(pidFile, "utf8"));
      assert.equal(before.bundle, bundle.path);
      assert.ok(!existsSync(join(bundle.rootfs, "out")), "the program runs before start");

      assert.equal((await runtime.call(["start", id])).code, 0);
      assert.equal((await state(runtime, id)).status, "running");
      await until("the program to run", () => existsSync(join(bundle.rootfs, "out")));
      const second = await runtime.call(["start", id]);
      assert.equal(second.code, 1);
      assert.match(second.stderr, /cannot start (an already running|a container)/);

      const refused = await runtime.call(["delete", id]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /is not stopped: running/);

      assert.equal((await runtime.call(["kill", id, "KILL"])).code, 0);
      await until("the container to stop", async () => (await state(runtime, id)).status === "stopped");
      const dead = await runtime.call(["kill", id, "TERM"]);
      assert.equal(dead.code, 1);
      assert.match(dead.stderr, /container not running/);
      assert.equal((await runtime.call(["delete", id])).code, 0);
      await gone(runtime, id);
    }),
  );

  test(`${name}: an id is taken once, and delete --force ends what runs`, { skip: unready }, () =>
    withBundle(name, "exec sleep 100", {}, async (runtime, bundle) => {
      const id = containerId();
      const args = ["run", "--detach", "--bundle", bundle.path, id];
      assert.equal((await runtime.call(args)).code, 0);
      const again = await runtime.call(args);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /exists/);
      const { stdout } = await runtime.call(["list", "--format", "json"]);
      const [only] = JSON.parse(stdout) as Record<string, unknown>[];
      assert.deepEqual([only?.id, only?.status, only?.bundle], [id, "running", bundle.path]);
      assert.match((await runtime.call(["list"])).stdout, /^ID +PID +STATUS +BUNDLE +CREATED +OWNER\n/);
      assert.equal((await runtime.call(["delete", "--force", id])).code, 0);
      assert.equal((await runtime.call(["delete", "--force", id])).code, 0, "absent is fine with --force");
      await gone(runtime, id);
    }),
  );

  test(`${name}: a container that was only created can be deleted`, { skip: unready }, () =>
    withBundle(name, "true", {}, async (runtime, bundle) => {
      const id = containerId();
      assert.equal((await runtime.call(["create", "--bundle", bundle.path, id])).code, 0);
      assert.equal((await runtime.call(["delete", id])).code, 0);
      await gone(runtime, id);
    }),
  );

  test(`${name}: hooks run in their order, with the state on stdin`, { skip: unready }, () =>
    withBundle(
      name,
      "echo program >> /trace",
      (files) => {
        const hook = (kind: string, where: string) => [
          {
            path: "/bin/busybox",
            args: ["sh", "-c", `read state; echo ${kind} $(echo "$state" | grep -c '"status":') >> ${where}`],
            env: ["PATH=/bin"],
            timeout: 10,
          },
        ];
        const trace = join(files, "../bundle/rootfs/trace");
        return {
          hooks: {
            prestart: hook("prestart", trace),
            createRuntime: hook("createRuntime", trace),
            createContainer: hook("createContainer", trace),
            startContainer: hook("startContainer", "/trace"),
            poststart: hook("poststart", `${trace}-after`),
            poststop: hook("poststop", `${trace}-after`),
          },
        };
      },
      async (runtime, bundle) => {
        const id = containerId();
        assert.equal((await runtime.call(["create", "--bundle", bundle.path, id])).code, 0);
        const { code, stderr } = await runtime.call(["start", id]);
        assert.equal(code, 0, stderr);
        await until("the container to stop", async () => (await state(runtime, id)).status === "stopped");
        assert.equal((await runtime.call(["delete", id])).code, 0);
        const trace = readFileSync(join(bundle.rootfs, "trace"), "utf8").trim().split("\n");
        assert.deepEqual(trace, [
          "prestart 1",
          "createRuntime 1",
          "createContainer 1",
          "startContainer 1",
          "program",
        ]);
        const after = readFileSync(join(bundle.rootfs, "trace-after"), "utf8").trim().split("\n");
        assert.deepEqual(after, ["poststart 1", "poststop 1"]);
      },
    ),
  );

  test(`${name}: a signal to a run in the foreground is meant for the container`, { skip: unready }, () =>
    withBundle(
      name,
      "trap 'exit 5' TERM; echo up > /up; while :; do sleep 0.05; done",
      {},
      async (runtime, bundle) => {
        const child = runtime.spawn(["run", "--bundle", bundle.path, containerId()]);
        const ended = new Promise((resolve) => child.once("exit", resolve));
        await until("the program to run", () => existsSync(join(bundle.rootfs, "up")));
        child.kill("SIGTERM");
        assert.equal(await ended, 5);
      },
    ),
  );

  test(`${name}: a hook that fails undoes everything`, { skip: unready }, () =>
    withBundle(
      name,
      "true",
      { hooks: { createRuntime: [{ path: "/bin/false" }] } },
      async (runtime, bundle) => {
        const id = containerId();
        const { code, stderr } = await runtime.call(["run", "--bundle", bundle.path, id]);
        assert.equal(code, 1);
        assert.match(stderr, /hook #0/);
        await gone(runtime, id);
      },
    ),
  );

  test(`${name}: namespaces are joined by path`, { skip: unready }, () =>
    withBundle(name, "exec sleep 100", {}, async (runtime, bundle) => {
      const id = containerId();
      assert.equal((await runtime.call(["run", "--detach", "--bundle", bundle.path, id])).code, 0);
      try {
        const { pid } = await state(runtime, id);
        const path = (kind: string) => `/proc/${String(pid)}/ns/${kind}`;
        const inner = await runOnce(
          name,
          "hostname; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; ls /proc | grep -c '^[0-9]'",
          {
            hostname: null,
            linux: {
              namespaces: [
                { type: "mount" },
                { type: "network", path: path("net") },
                { type: "uts", path: path("uts") },
                { type: "ipc", path: path("ipc") },
                { type: "pid", path: path("pid") },
              ],
            },
          } as Json,
        );
        assert.equal(inner.code, 0, inner.stderr);
        const [hostname, net, ipc, processes] = inner.stdout.trim().split("\n");
        assert.equal(hostname, "testbox");
        assert.equal(net, readlinkSync(path("net")));
        assert.equal(ipc, readlinkSync(path("ipc")));
        assert.ok(Number(processes) >= 2, `sees ${processes} processes`);
      } finally {
        await runtime.call(["delete", "--force", id]);
      }
    }),
  );
}

test("a cgroup that another container is in is refused, and that one lives on", { skip: unready }, () =>
  withBundle(
    "gantry-oci",
    "exec sleep 100",
    () => ({ linux: { cgroupsPath: `${cgroupsPathFor(containerId())}` } }),
    async (runtime, bundle) => {
      const [first, second] = [containerId(), containerId()];
      const started = await runtime.call(["run", "--detach", "--bundle", bundle.path, first]);
      assert.equal(started.code, 0, started.stderr);
      const refused = await runtime.call(["run", "--detach", "--bundle", bundle.path, second]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /holds processes|already exists|already loaded/);
      assert.equal((await state(runtime, first)).status, "running");
    },
  ),
);

test("a hook may ask for the state of its container", { skip: unready }, () =>
  withBundle(
    "gantry-oci",
    "true",
    (files) => ({
      hooks: {
        createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `sh ${files}/ask > ${files}/answer 2>&1`] }],
      },
    }),
    async (runtime, bundle) => {
      const id = containerId();
      writeFileSync(
        join(bundle.files, "ask"),
        `exec ${runtime.program} --root ${runtime.root} state ${id}\n`,
      );
      const { code, stderr } = await runtime.call(["run", "--bundle", bundle.path, id]);
      assert.equal(code, 0, stderr);
      const answer = JSON.parse(readFileSync(join(bundle.files, "answer"), "utf8")) as Record<
        string,
        unknown
      >;
      assert.equal(answer.id, id);
      assert.equal(answer.status, "creating");
      assert.ok(Number(answer.pid) > 0);
    },
  ),
);

/** Callers look for these words (dockerd, podman), so they are compared with runc's, whole. */
const failures: readonly (readonly [what: string, patch: Json, wanted: RegExp])[] = [
  [
    "a program that is not in PATH",
    { process: { args: ["nope"] } },
    /exec: "nope": executable file not found in \$PATH/,
  ],
  [
    "a program whose path does not exist",
    { process: { args: ["/nope"] } },
    /exec: "\/nope": stat \/nope: no such file or directory/,
  ],
  [
    "a program that may not be executed",
    { process: { args: ["/etc/passwd"] } },
    /exec: "\/etc\/passwd": permission denied/,
  ],
  [
    "a program that is a directory",
    { process: { args: ["/etc"] } },
    /exec: "\/etc": (is a directory|permission denied)/,
  ],
];

for (const [what, patch, wanted] of failures)
  test(`${what} fails in runc's words and leaves nothing`, { skip: unready }, async () => {
    for (const name of both)
      await withBundle(name, "", patch, async (runtime, bundle) => {
        const id = containerId();
        const log = join(bundle.files, "log.json");
        const { code, stderr } = await runtime.call([
          "--log",
          log,
          "--log-format",
          "json",
          "create",
          "--bundle",
          bundle.path,
          id,
        ]);
        assert.equal(code, 1, stderr);
        const lines = readFileSync(log, "utf8").trim().split("\n");
        const last = JSON.parse(lines.at(-1)!) as { level: string; msg: string };
        assert.equal(last.level, "error");
        assert.match(last.msg, wanted, name);
        assert.match(reason(stderr), wanted, name);
        await gone(runtime, id);
      });
  });

const refusals: readonly (readonly [what: string, patch: Json, wanted: RegExp])[] = [
  ["a config without a program", { process: { args: [] } }, /args must not be empty|\/process\/args/],
  [
    "a host name without a namespace",
    { linux: { namespaces: [{ type: "mount" }] } },
    /unable to set hostname without a private UTS namespace/,
  ],
  [
    "a namespace twice",
    { linux: { namespaces: [{ type: "mount" }, { type: "uts" }, { type: "uts" }] } },
    /malformed spec file: duplicated ns/,
  ],
  [
    "a sysctl of the machine",
    { linux: { sysctl: { "vm.swappiness": "1" } } },
    /"vm.swappiness" is not in a separate kernel namespace/,
  ],
  [
    "a mount source that does not exist",
    { mounts: [{ destination: "/x", source: "/no/such", options: ["bind"] }] },
    /error mounting "\/no\/such" to rootfs at "\/x".*no such file or directory/,
  ],
];

for (const [what, patch, wanted] of refusals)
  test(`${what} is refused in runc's words`, { skip: unready }, async () => {
    for (const name of both) {
      const { code, stderr } = await runOnce(name, "true", patch);
      assert.equal(code, 1, name);
      assert.match(reason(stderr), wanted, name);
    }
  });

test("a pid file in a folder that is not there fails before the program runs", { skip: unready }, () =>
  withBundle("gantry-oci", "echo ran > /out", {}, async (runtime, bundle) => {
    const id = containerId();
    const { code } = await runtime.call([
      "create",
      "--bundle",
      bundle.path,
      "--pid-file",
      "/no/such/pid",
      id,
    ]);
    assert.equal(code, 1);
    await gone(runtime, id);
  }),
);
