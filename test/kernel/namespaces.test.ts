/** Every kind of namespace: made, shared with the host, joined by path. */
import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import test from "node:test";
import { namespaceKinds, namespaces } from "../../src/linux/namespaces.ts";
import { containerId, type Json, runOnce, unready, withBundle } from "./bundle.ts";

const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
const proc = { destination: "/proc", type: "proc", source: "proc" };
const dev = { destination: "/dev", type: "tmpfs", source: "tmpfs" };
const types = (kinds: readonly string[]) => kinds.map((type) => ({ type }));
const withUser = (kinds: readonly string[]): Json => ({
  namespaces: types(kinds),
  ...(kinds.includes("user") ? { uidMappings: ids, gidMappings: ids } : {}),
});
/** runc 1.1.5 does not know it. */
const newer = new Set(["time"]);
/** Only who owns the pid namespace may mount a proc. */
const withProc = (kind: string) => (kind === "user" ? ["pid"] : []);
const link = (kind: (typeof namespaceKinds)[number]) => `ns/${namespaces[kind].procName}`;

for (const kind of namespaceKinds)
  test(`a new ${kind} namespace is the container's own, and the others are the host's`, {
    skip: unready,
  }, async () => {
    const names = newer.has(kind) ? (["gantry-oci"] as const) : (["gantry-oci", "runc"] as const);
    const own = ["mount", ...(kind === "mount" ? [] : [kind]), ...withProc(kind)];
    for (const name of names) {
      const { stdout, stderr, code } = await runOnce(
        name,
        namespaceKinds.map((one) => `readlink /proc/self/${link(one)}`).join("; "),
        { hostname: null, mounts: [proc, dev], linux: withUser(own) } as Json,
      );
      assert.equal(code, 0, `${name}: ${stderr}`);
      const found = stdout.trim().split("\n");
      for (const [index, one] of namespaceKinds.entries()) {
        const host = readlinkSync(`/proc/self/${link(one)}`);
        if (own.includes(one)) assert.notEqual(found[index], host, `${name}: ${one}`);
        else assert.equal(found[index], host, `${name}: ${one}`);
      }
    }
  });

for (const kind of namespaceKinds)
  test(`a ${kind} namespace is joined by its path`, { skip: unready }, () =>
    withBundle(
      "gantry-oci",
      "exec sleep 100",
      { hostname: null, mounts: [proc, dev], linux: withUser([...namespaceKinds]) } as Json,
      async (runtime, bundle) => {
        const id = containerId();
        const started = await runtime.call(["run", "--detach", "--bundle", bundle.path, id]);
        assert.equal(started.code, 0, started.stderr);
        const { pid } = JSON.parse((await runtime.call(["state", id])).stdout) as { pid: number };
        const path = `/proc/${pid}/${link(kind)}`;
        const wanted = readlinkSync(path);
        const others = [...(kind === "mount" ? [] : types(["mount"])), ...types(withProc(kind))];
        const { stdout, stderr, code } = await runOnce(
          "gantry-oci",
          `readlink /proc/self/${link(kind)}; id -u`,
          {
            hostname: null,
            mounts: [proc, dev],
            linux: { namespaces: [...others, { type: kind, path }] },
          } as Json,
        );
        assert.equal(code, 0, stderr);
        assert.equal(stdout, `${wanted}\n0\n`);
      },
    ),
  );

for (const kind of namespaceKinds)
  test(`a path to another kind than ${kind} is refused`, { skip: unready }, async () => {
    const other = kind === "uts" ? "/proc/self/ns/ipc" : "/proc/self/ns/uts";
    const others = kind === "mount" ? [] : types(["mount"]);
    const { stdout, stderr, code } = await runOnce("gantry-oci", "echo ran", {
      hostname: null,
      mounts: [proc, dev],
      linux: { namespaces: [...others, { type: kind, path: other }] },
    } as Json);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /is not a namespace of the kind that is asked for/);
  });
