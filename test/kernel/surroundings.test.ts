/** What depends on who calls and on what happens on the host: OOM score, propagation of mounts, configs for others. */
import assert from "node:assert/strict";
import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command, must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { containerId, type Json, unready, withBundle } from "./bundle.ts";

const both = ["gantry-oci", "runc"] as const;

test("an OOM score that the config does not speak of stays the caller's", { skip: unready }, async () => {
  for (const name of both)
    await withBundle(name, "cat /proc/self/oom_score_adj", {}, async (runtime, bundle) => {
      const run = `${runtime.program} --root ${runtime.root} run --bundle ${bundle.path} ${containerId()}`;
      const { stdout, stderr } = await command([
        "sh",
        "-c",
        `echo 123 > /proc/self/oom_score_adj; exec ${run}`,
      ]);
      assert.equal(stdout, "123\n", `${name}: ${stderr}`);
    });
});

test(
  "a slave root gets what is mounted on the host, and gives nothing back",
  { skip: unready || needs("unshare") },
  () =>
    withBundle(
      "gantry-oci",
      "mount -t tmpfs inner /inner; : > /ready; until [ -e /outer/hello ]; do sleep 0.05; done; echo seen",
      {
        process: {
          capabilities: {
            bounding: ["CAP_SYS_ADMIN"],
            effective: ["CAP_SYS_ADMIN"],
            permitted: ["CAP_SYS_ADMIN"],
          },
        },
        linux: { rootfsPropagation: "slave" },
      },
      async (runtime, bundle) => {
        const { rootfs } = bundle;
        for (const folder of ["inner", "outer"]) mkdirSync(join(rootfs, folder));
        const run = `${runtime.program} --root ${runtime.root} run --bundle ${bundle.path} ${containerId()}`;
        const script = [
          `mount --bind ${rootfs} ${rootfs}`,
          `mount --make-shared ${rootfs}`,
          `${run} & child=$!`,
          `until [ -e ${rootfs}/ready ]; do sleep 0.05; done`,
          `mount -t tmpfs outer ${rootfs}/outer; : > ${rootfs}/outer/hello`,
          "wait $child",
          `grep -c ' ${rootfs}/inner ' /proc/self/mountinfo || true`,
        ].join("\n");
        const { stdout, stderr } = await command(["timeout", "20", "unshare", "-m", "sh", "-ec", script], {
          timeoutMs: 30_000,
        });
        assert.equal(stdout, "seen\n0\n", stderr);
      },
    ),
);

/** runc 1.1.5 does not keep them, and is refused by the kernel. */
test(
  "a bind keeps the flags that its source has locked for a user without privileges",
  {
    skip: unready || needs("setpriv", "unshare"),
  },
  () =>
    withBundle(
      "gantry-oci",
      "grep ' /data ' /proc/self/mountinfo | cut -d' ' -f6",
      (files) => ({
        mounts: [
          { destination: "/proc", type: "proc", source: "proc" },
          { destination: "/data", type: "bind", source: join(files, "locked"), options: ["bind", "ro"] },
        ],
        linux: {
          namespaces: ["pid", "network", "ipc", "uts", "mount", "user"].map((type) => ({ type })),
          uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
          gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        },
      }),
      async (runtime, bundle) => {
        const locked = join(bundle.files, "locked");
        for (const folder of [locked, join(bundle.rootfs, "data")]) mkdirSync(folder);
        await must(["chown", "-R", "1000:1000", bundle.path]);
        const user = "setpriv --reuid 1000 --regid 1000 --clear-groups";
        const run = `${runtime.program} --root ${bundle.path}/state run --bundle ${bundle.path} ${containerId()}`;
        const script = `mount -t tmpfs -o nosuid,nodev,noexec,noatime tmpfs ${locked}; exec ${user} ${run}`;
        const { stdout, stderr } = await command(["unshare", "-m", "sh", "-ec", script], {
          timeoutMs: 20_000,
        });
        assert.equal(stdout, "ro,nosuid,nodev,noexec,noatime\n", stderr);
      },
    ),
);

test("a working directory that only the user may enter is entered as that user", {
  skip: unready,
}, async () => {
  const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
  for (const name of both)
    await withBundle(
      name,
      "pwd",
      {
        process: { user: { uid: 1000, gid: 1000 }, cwd: "/private" },
        linux: {
          namespaces: ["pid", "network", "ipc", "uts", "mount", "user"].map((type) => ({ type })),
          uidMappings: ids,
          gidMappings: ids,
        },
      },
      async (runtime, bundle) => {
        const place = join(bundle.rootfs, "private");
        mkdirSync(place, { mode: 0o700 });
        // its group is nobody in the container, so that root has no power over it (capabilities(7))
        chownSync(place, 101000, 0);
        const { stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
        assert.equal(stdout, "/private\n", `${name}: ${stderr}`);
      },
    );
});

test("what spec writes is a config that runc runs too", { skip: unready }, async () => {
  for (const name of both)
    await withBundle(name, "", {}, async (runtime, bundle) => {
      const path = join(bundle.path, "config.json");
      rmSync(path);
      await must([gantryOciProgram, "spec", "--bundle", bundle.path]);
      const config = JSON.parse(readFileSync(path, "utf8")) as { process: Record<string, unknown> };
      Object.assign(config.process, {
        args: ["/bin/sh", "-c", "/bin/id -u; /bin/hostname"],
        terminal: false,
      });
      writeFileSync(path, JSON.stringify(config));
      const { code, stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
      assert.deepEqual([code, stdout], [0, "0\ngantry\n"], `${name}: ${stderr}`);
    });
});

test("what spec --rootless writes is a config that a user without privileges runs, with runc too", {
  skip: unready || needs("setpriv"),
}, async () => {
  for (const name of both)
    await withBundle(name, "", {}, async (runtime, bundle) => {
      rmSync(join(bundle.path, "config.json"));
      const root = join(bundle.path, "state");
      await must(["chown", "-R", "1000:1000", bundle.path]);
      const user = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
      await must([...user, gantryOciProgram, "spec", "--rootless", "--bundle", bundle.path]);
      const path = join(bundle.path, "config.json");
      const config = JSON.parse(readFileSync(path, "utf8")) as { process: Json };
      Object.assign(config.process, { args: ["/bin/sh", "-c", "/bin/id -u; /bin/cat /proc/self/uid_map"] });
      writeFileSync(path, JSON.stringify(config));
      const args = ["--root", root, "run", "--bundle", bundle.path, containerId()];
      const { code, stdout, stderr } = await command([...user, runtime.program, ...args], {
        env: { XDG_RUNTIME_DIR: bundle.path },
        timeoutMs: 20_000,
      });
      assert.equal(code, 0, `${name}: ${stderr}`);
      assert.match(stdout, /^0\n +0 +1000 +1\n$/, name);
    });
});
