/** All six hooks: when and where they run, what they are told, and what becomes of a container whose hook fails. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { hookKinds } from "../../src/spec/runtime-hooks.ts";
import { until } from "../lib/until.ts";
import { type Bundle, containerId, type Json, type Runtime, unready, withBundle } from "./bundle.ts";

const both = ["gantry-oci", "runc"] as const;
const kinds = hookKinds;
type Kind = (typeof kinds)[number];

/** A hook that leaves what it is told and where it is in the folder `out`, which must be there for it. */
function witness(kind: Kind, out: string): Json {
  const script = [
    `cat > ${out}/${kind}.json`,
    `readlink /proc/self/ns/mnt > ${out}/${kind}.ns`,
    `env > ${out}/${kind}.env`,
    `echo "$0 $*" > ${out}/${kind}.args`,
    `cat /proc/sys/kernel/hostname > ${out}/${kind}.host`,
    `ls -d /ran > ${out}/${kind}.ran 2>/dev/null || true`,
  ].join("; ");
  return {
    path: "/bin/busybox",
    args: ["sh", "-c", script, "zero", "one"],
    env: [`KIND=${kind}`, "PATH=/bin:/usr/bin"],
    timeout: 20,
  };
}

const witnesses = (out: string): Json =>
  Object.fromEntries(kinds.map((kind) => [kind, [witness(kind, kind === "startContainer" ? "/out" : out)]]));

/** The folder lies in the root, so that hooks inside and outside of it write to the same. */
function outOf(files: string): string {
  return join(files, "../bundle/rootfs/out");
}

const read = (bundle: Bundle, file: string) => readFileSync(join(bundle.rootfs, "out", file), "utf8").trim();

for (const name of both)
  test(
    `${name}: each hook runs at its time and place, with state, arguments and environment`,
    {
      skip: unready,
    },
    () =>
      withBundle(
        name,
        "echo > /ran; readlink /proc/self/ns/mnt > /out/program.ns; exec sleep 100",
        (files) => ({
          hooks: witnesses(outOf(files)),
          annotations: { "org.example": "x" },
        }),
        async (runtime, bundle) => {
          mkdirSync(join(bundle.rootfs, "out"));
          const id = containerId();
          const done = () => kinds.filter((kind) => existsSync(join(bundle.rootfs, "out", `${kind}.ran`)));
          const created = await runtime.call(["create", "--bundle", bundle.path, id]);
          assert.equal(created.code, 0, created.stderr);
          // runc 1.1.5 runs poststart before create returns, against the specification
          const early = done().filter((kind) => name === "gantry-oci" || kind !== "poststart");
          assert.deepEqual(early, ["prestart", "createRuntime", "createContainer"]);
          assert.equal((await runtime.call(["start", id])).code, 0);
          await until("the hooks of the start", () => done().length === 5);
          await until("the program", () => existsSync(join(bundle.rootfs, "out/program.ns")));
          const state = JSON.parse((await runtime.call(["state", id])).stdout) as { pid: number };
          assert.equal((await runtime.call(["kill", id, "KILL"])).code, 0);
          await until("the end", async () => (await runtime.call(["state", id])).stdout.includes("stopped"));
          assert.equal((await runtime.call(["delete", id])).code, 0);
          assert.deepEqual(done(), kinds);

          const host = readlinkSync("/proc/self/ns/mnt");
          const inside = read(bundle, "program.ns");
          const statuses = {
            ...{ prestart: "creating", createRuntime: "creating", createContainer: "creating" },
            ...{ startContainer: "created", poststart: "running", poststop: "stopped" },
          };
          for (const kind of kinds) {
            const told = JSON.parse(read(bundle, `${kind}.json`)) as Record<string, unknown>;
            assert.equal(told.id, id, kind);
            assert.equal(told.bundle, bundle.path, kind);
            assert.deepEqual(told.annotations, { "org.example": "x" }, kind);
            if (name === "gantry-oci" || kind !== "poststart")
              assert.equal(told.status, statuses[kind], kind);
            assert.equal(typeof told.ociVersion, "string", kind);
            const outside = kind !== "createContainer" && kind !== "startContainer";
            // inside it is the number that the container knows
            if (outside && kind !== "poststop") assert.equal(told.pid, state.pid, kind);
            else assert.equal(told.pid ?? 0, kind === "poststop" ? 0 : 1, kind);
            assert.equal(read(bundle, `${kind}.ns`), outside ? host : inside, kind);
            assert.equal(read(bundle, `${kind}.args`), "zero one", kind);
            assert.match(read(bundle, `${kind}.env`), new RegExp(`^KIND=${kind}$`, "m"));
            assert.doesNotMatch(read(bundle, `${kind}.env`), /^(HOME|USER|LANG|GANTRY.*)=/m);
            if (kind === "startContainer")
              assert.equal(read(bundle, "startContainer.ran"), "", "runs too late");
            // runc 1.1.5 sets the host name only after createContainer
            if (!outside && !(name === "runc" && kind === "createContainer"))
              assert.equal(read(bundle, `${kind}.host`), "testbox", kind);
          }
        },
      ),
  );

test("poststart comes when the program runs, however long the hooks before it take", { skip: unready }, () =>
  withBundle(
    "gantry-oci",
    "exec sleep 100",
    (files) => ({
      hooks: {
        startContainer: [{ path: "/bin/busybox", args: ["sleep", "1"] }],
        poststart: [
          {
            path: "/bin/sh",
            args: [
              "sh",
              "-c",
              `pid=$(sed -n 's/.*"pid":\\([0-9]*\\).*/\\1/p'); tr '\\0' ' ' < /proc/$pid/cmdline > ${files}/seen`,
            ],
            env: ["PATH=/bin:/usr/bin"],
          },
        ],
      },
    }),
    async (runtime, bundle) => {
      const id = containerId();
      assert.equal((await runtime.call(["create", "--bundle", bundle.path, id])).code, 0);
      assert.equal((await runtime.call(["start", id])).code, 0);
      assert.equal(readFileSync(join(bundle.files, "seen"), "utf8"), "sleep 100 ");
    },
  ),
);

test("a hook without arguments gets its path, and without an environment none", { skip: unready }, () =>
  withBundle(
    "gantry-oci",
    "cat /proc/self/environ > /dev/null; true",
    (files) => ({ hooks: { createRuntime: [{ path: join(files, "hook") }] } }),
    async (runtime, bundle) => {
      const script = `#!/bin/busybox sh\n/bin/busybox tr '\\0' '\\n' < /proc/$$/environ > ${bundle.files}/env; /bin/busybox tr '\\0' ' ' < /proc/$$/cmdline > ${bundle.files}/args\n`;
      writeFileSync(join(bundle.files, "hook"), script, { mode: 0o755 });
      const { code, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
      assert.equal(code, 0, stderr);
      assert.equal(readFileSync(join(bundle.files, "env"), "utf8"), "");
      assert.equal(readFileSync(join(bundle.files, "args"), "utf8"), `/bin/busybox sh ${bundle.files}/hook `);
    },
  ),
);

async function gone(runtime: Runtime, id: string): Promise<void> {
  const { code, stderr } = await runtime.call(["state", id]);
  assert.equal(code, 1);
  assert.match(stderr, /container does not exist/);
}

const failing = { path: "/bin/busybox", args: ["sh", "-c", "exit 3"], env: ["PATH=/bin"] };

for (const kind of ["prestart", "createRuntime", "createContainer"] as const)
  test(`a ${kind} hook that fails ends create with its status, the next is not run, and nothing is left`, {
    skip: unready,
  }, async () => {
    for (const name of both)
      await withBundle(
        name,
        "echo ran > /ran",
        (files) => ({
          hooks: {
            [kind]: [failing, { path: "/bin/touch", args: ["touch", join(files, "second")] }],
            poststop: [{ path: "/bin/touch", args: ["touch", join(files, "poststop")] }],
          },
        }),
        async (runtime, bundle) => {
          const id = containerId();
          const { code, stderr } = await runtime.call(["create", "--bundle", bundle.path, id]);
          assert.equal(code, 1, name);
          assert.match(stderr, new RegExp(`error running (${kind} )?hook #0: .*exit status 3`), name);
          assert.ok(!existsSync(join(bundle.files, "second")), name);
          assert.ok(!existsSync(join(bundle.rootfs, "ran")), name);
          await gone(runtime, id);
        },
      );
  });

test(
  "a startContainer hook that fails ends start with its status, and the program never runs",
  {
    skip: unready,
  },
  () =>
    withBundle(
      "gantry-oci",
      "echo ran > /ran",
      { hooks: { startContainer: [failing] } },
      async (runtime, bundle) => {
        const id = containerId();
        assert.equal((await runtime.call(["create", "--bundle", bundle.path, id])).code, 0);
        const { code, stderr } = await runtime.call(["start", id]);
        assert.equal(code, 1);
        assert.match(stderr, /error running startContainer hook #0: .*exit status 3/);
        assert.ok(!existsSync(join(bundle.rootfs, "ran")));
        await until("the end", async () => (await runtime.call(["state", id])).stdout.includes('"stopped"'));
        assert.equal((await runtime.call(["delete", id])).code, 0);

        const run = await runtime.call(["run", "--bundle", bundle.path, id]);
        assert.equal(run.code, 1);
        assert.match(run.stderr, /error running startContainer hook #0: .*exit status 3/);
        await gone(runtime, id);
      },
    ),
);

test("a poststart hook that fails is an error and stops the container", { skip: unready }, () =>
  withBundle("gantry-oci", "exec sleep 100", { hooks: { poststart: [failing] } }, async (runtime, bundle) => {
    const id = containerId();
    assert.equal((await runtime.call(["create", "--bundle", bundle.path, id])).code, 0);
    const { code, stderr } = await runtime.call(["start", id]);
    assert.equal(code, 1);
    assert.match(stderr, /error running poststart hook #0: .*exit status 3/);
    await until("the end", async () => (await runtime.call(["state", id])).stdout.includes('"stopped"'));
    assert.equal((await runtime.call(["delete", id])).code, 0);

    const run = await runtime.call(["run", "--detach", "--bundle", bundle.path, id]);
    assert.equal(run.code, 1);
    await gone(runtime, id);
  }),
);

test("a poststop hook that fails changes nothing, and the next is run", { skip: unready }, async () => {
  for (const name of both)
    await withBundle(
      name,
      "exit 7",
      (files) => ({
        hooks: {
          poststop: [failing, { path: "/bin/touch", args: ["touch", join(files, "second")] }],
        },
      }),
      async (runtime, bundle) => {
        const { code } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
        assert.equal(code, 7, name);
        // runc 1.1.5 leaves it at the first failure
        if (name === "gantry-oci") assert.ok(existsSync(join(bundle.files, "second")));
      },
    );
});

test("a hook that takes longer than its timeout is killed and fails", { skip: unready }, async () => {
  for (const name of both)
    await withBundle(
      name,
      "echo ran > /ran",
      { hooks: { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }] } },
      async (runtime, bundle) => {
        const { code, stderr, ms } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
        assert.equal(code, 1, name);
        assert.match(stderr, /hook #0/, name);
        assert.ok(ms < 15_000, `${name} took ${ms} ms`);
        assert.ok(!existsSync(join(bundle.rootfs, "ran")), name);
      },
    );
});
