/** What the reference of this distribution does not know: newer members of the config, and the engine's own root. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { readHostFacts } from "../../src/host/facts.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { runPlan } from "../../src/launch/launch.ts";
import { compileContainer } from "../../src/plan/compile/container.ts";
import { withFilter } from "../../src/plan/compile/seccomp.ts";
import { parseRuntimeConfig } from "../../src/spec/runtime-config.ts";
import { command, must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { containerId, merge, runOnce, unready, withBundle } from "./bundle.ts";

const types = (...names: readonly string[]) => names.map((type) => ({ type }));
const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
const userNamespace = {
  namespaces: types("pid", "network", "ipc", "uts", "mount", "user"),
  uidMappings: ids,
  gidMappings: ids,
};
const proc = { destination: "/proc", type: "proc", source: "proc" };
const dev = { destination: "/dev", type: "tmpfs", source: "tmpfs" };

test("a time namespace has its offsets", { skip: unready }, async () => {
  const boot = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const { stdout, stderr } = await runOnce("gantry-oci", "echo $$; cut -d. -f1 /proc/uptime", {
    linux: {
      namespaces: types("pid", "network", "ipc", "uts", "mount", "time"),
      timeOffsets: { boottime: { secs: 1_000_000 } },
    },
  });
  const [pid, uptime] = stdout.trim().split("\n").map(Number);
  assert.equal(pid, 1, stderr);
  assert.ok(uptime! >= boot + 999_999, `uptime ${uptime}`);
});

test(
  "an id-mapped bind mount shows the container's ids and keeps the host's on disk",
  { skip: unready },
  () =>
    withBundle(
      "gantry-oci",
      "stat -c %u:%g /data/f && touch /data/new && stat -c %u /data/new",
      (files) => ({
        mounts: [proc, dev, { destination: "/data", source: files, options: ["bind", "idmap"] }],
        linux: userNamespace,
      }),
      async (runtime, bundle) => {
        writeFileSync(join(bundle.files, "f"), "");
        chownSync(join(bundle.files, "f"), 5, 6);
        mkdirSync(join(bundle.rootfs, "data"));
        const { stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
        assert.equal(stdout, "5:6\n0\n", stderr);
        assert.equal(statSync(join(bundle.files, "new")).uid, 0);
      },
    ),
);

test("an id-mapped bind mount may have a map of its own, without any user namespace", { skip: unready }, () =>
  withBundle(
    "gantry-oci",
    "stat -c %u:%g /data/f",
    (files) => ({
      mounts: [
        proc,
        dev,
        {
          destination: "/data",
          source: files,
          options: ["bind"],
          uidMappings: [{ containerID: 0, hostID: 1000, size: 10 }],
          gidMappings: [{ containerID: 0, hostID: 2000, size: 10 }],
        },
      ],
    }),
    async (runtime, bundle) => {
      writeFileSync(join(bundle.files, "f"), "");
      chownSync(join(bundle.files, "f"), 5, 6);
      const { stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
      assert.equal(stdout, "1005:2006\n", stderr);
    },
  ),
);

test("recursive read-only reaches the mounts below a bind", { skip: unready }, async () => {
  const { stdout, stderr } = await runOnce("gantry-oci", "touch /data/x 2>&1; touch /data/shm/x 2>&1; true", {
    mounts: [proc, dev, { destination: "/data", source: "/dev", options: ["rbind", "rro"] }],
  });
  assert.equal(stdout.match(/Read-only file system/g)?.length, 2, stdout + stderr);
});

test("scheduling, IO priority, personality and memory policy are the config's", {
  skip: unready,
}, async () => {
  const { stdout, stderr, code } = await runOnce(
    "gantry-oci",
    "cut -d' ' -f19 /proc/self/stat; grep -i policy /proc/self/sched; grep -c bind /proc/self/numa_maps; uname -m",
    {
      process: { scheduler: { policy: "SCHED_BATCH", nice: 5 }, ioPriority: { class: "IOPRIO_CLASS_IDLE" } },
      linux: { personality: { domain: "LINUX32" }, memoryPolicy: { mode: "MPOL_BIND", nodes: "0" } },
    },
  );
  assert.equal(code === 0 || code === 127, true, stderr);
  assert.match(stdout, /^5\n/);
});

test(
  "/proc and /sys are never mounted through a link of the root file system (CVE-2019-19921)",
  { skip: unready },
  () =>
    withBundle("gantry-oci", "true", {}, async (runtime, bundle) => {
      const { rmSync, symlinkSync } = await import("node:fs");
      rmSync(join(bundle.rootfs, "proc"), { recursive: true });
      mkdirSync(join(bundle.rootfs, "elsewhere"));
      symlinkSync("/elsewhere", join(bundle.rootfs, "proc"));
      const { code, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
      assert.equal(code, 1);
      assert.match(stderr, /error mounting \\?"proc\\?" to rootfs at \\?"\/proc\\?"/);
    }),
);

const modern = unready || needs("linux 6.15");

for (const inUserNamespace of [false, true])
  test(
    `an overlay of layers is the root${inUserNamespace ? " of a user namespace, with the ids of the host on disk" : ""}`,
    { skip: inUserNamespace ? modern : unready },
    () =>
      withBundle("gantry-oci", "", {}, async (_runtime, bundle) => {
        const [upperLayer, upper, work, state] = ["layer", "snapshot/upper", "snapshot/work", "state"].map(
          (name) => join(bundle.files, name),
        );
        for (const folder of [upperLayer!, upper!, work!, state!]) mkdirSync(folder, { recursive: true });
        writeFileSync(join(upperLayer!, "file"), "from the upper layer\n");
        chownSync(join(upperLayer!, "file"), 1000, 1000);
        chmodSync(bundle.files, 0o700);
        const script = "cat /file; stat -c %u:%g /file; touch /made; stat -c %u /made; rm /etc/passwd";
        const config = parseRuntimeConfig(
          JSON.stringify(
            merge(bundle.config, {
              process: { args: ["sh", "-c", `{ ${script}; } > /out 2>&1`] },
              ...(inUserNamespace ? { linux: userNamespace } : {}),
            }),
          ),
        );
        const id = containerId();
        const plan = compileContainer(
          withFilter({
            id,
            config,
            bundle: bundle.path,
            facts: readHostFacts(),
            mode: {
              kind: "engine",
              root: { kind: "overlay", lower: [upperLayer!, bundle.rootfs], upper: upper!, work: work! },
              stdin: false,
              state: state!,
              log: { format: "json", path: join(state!, "log.json"), limitBytes: 0, files: 1 },
              stopSignal: 15,
              network: false,
            },
          }),
        );
        const { status } = await runPlan(plan, { executor: findExecutor() });
        assert.equal(status, 0);
        assert.equal(readFileSync(join(upper!, "out"), "utf8"), "from the upper layer\n1000:1000\n0\n");
        assert.equal(statSync(join(upper!, "made")).uid, 0, "owner on disk");
        assert.equal(JSON.parse(readFileSync(join(state!, "exit.json"), "utf8")).code, 0);
        assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(bundle.path), "mounted on the host");
      }),
  );

test(
  "a user without privileges runs a container with a map of the own id alone",
  { skip: unready || needs("setpriv") },
  () =>
    withBundle(
      "gantry-oci",
      "id -u; cat /proc/self/uid_map; hostname; touch /made; echo x > /dev/null && cat /data/f",
      (files) => ({
        mounts: [
          proc,
          dev,
          { destination: "/sys", source: "/sys", options: ["rbind", "ro"] },
          { destination: "/data", source: files, options: ["bind", "ro"] },
        ],
        linux: {
          namespaces: types("pid", "network", "ipc", "uts", "mount", "user"),
          uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
          gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
        },
      }),
      async (_runtime, bundle) => {
        writeFileSync(join(bundle.files, "f"), "bound\n");
        await must(["chown", "-R", "1000:1000", bundle.path]);
        const root = join(bundle.path, "state");
        const user = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
        const run = [gantryOciProgram, "--root", root, "run", "--bundle", bundle.path, containerId()];
        const { code, stdout, stderr } = await command([...user, ...run]);
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^0\n +0 +1000 +1\ntestbox\nbound\n$/);
        assert.equal(statSync(join(bundle.rootfs, "made")).uid, 1000);
      },
    ),
);
