/** podman as root, with gantry-oci where it calls crun. */
import assert from "node:assert/strict";
import { mkdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { openPodman } from "../../bench/peers/podman.ts";
import { command, must } from "../lib/command.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { ownMounts } from "../lib/mount-namespace.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { firstSubId, makeUser, subIds, uid, userNeeds } from "../lib/user.ts";
import { type Case, cgroupValue, declare, withOwnRoot } from "./caller.ts";
import { containerCases } from "./cases/all.ts";
import { sleeping } from "./cases/containers.ts";

const maps = ["--uidmap", "0:300000:65536", "--gidmap", "0:300000:65536"];

const podmanCases: readonly Case[] = [
  {
    name: "a user namespace of its own: root inside is nobody of the host's outside",
    async body(caller) {
      const name = await sleeping(caller, ...maps);
      assert.equal(
        await caller.must(["exec", name, "cat", "/proc/self/uid_map"]),
        "         0     300000      65536",
      );
      const pid = await caller.inspect(name, ".State.Pid");
      assert.equal(statSync(`/proc/${pid}`).uid, 300000);
      const script =
        "id -u; touch /mine && stat -c %u /mine; test -c /dev/null && echo null; ls /dev/pts >/dev/null && echo pts";
      assert.equal(await caller.must(["exec", name, "sh", "-c", script]), "0\n0\nnull\npts");
    },
  },
  {
    name: "another user in a user namespace, read-only, with limits",
    async body(caller) {
      const flags = [...maps, "--user", "user", "--read-only", "--memory", "32m"];
      const name = await sleeping(caller, ...flags);
      const pid = await caller.inspect(name, ".State.Pid");
      assert.equal(cgroupValue(pid, "memory", "memory.limit_in_bytes", "memory.max"), String(32 << 20));
      const refused = await caller.call(["exec", name, "touch", "/x"]);
      assert.match(refused.stderr, /Read-only file system/);
    },
  },
  {
    name: "containers of a pod share their namespaces with its first one",
    async body(caller) {
      const pod = caller.name();
      await caller.must([
        "pod",
        "create",
        "--name",
        pod,
        "--network",
        "none",
        "--cgroup-parent",
        `/${caller.group}`,
      ]);
      const script = "for n in net ipc uts; do readlink /proc/self/ns/$n; done";
      const run = ["run", "--rm", "--pod", pod, caller.image, "sh", "-c", script];
      const [one, two] = [await caller.must(run), await caller.must(run)];
      assert.equal(one, two);
      // its first try may come before its own monitors have left their group
      const remove = ["pod", "rm", "--force", "--time", "0", pod];
      await until("the pod to go", async () => (await caller.call(remove)).code === 0);
    },
  },
  {
    name: "init makes a container that start then lets go",
    async body(caller) {
      const name = caller.name();
      await caller.must(["create", "--network", "none", "--name", name, caller.image, "sh", "-c", "exit 6"]);
      await caller.must(["init", name]);
      assert.equal(await caller.inspect(name, ".State.Status"), "initialized");
      await caller.must(["start", name]);
      assert.equal(await caller.must(["wait", name]), "6");
    },
  },
];

declare({
  name: "podman",
  runtimes: ["crun", "gantry-oci"],
  cases: [...containerCases, ...podmanCases],
  skip: needs(
    ...["root", "podman", "crun", gantryOciProgram, "/bin/busybox", "unshare", "nsenter"],
    "/usr/bin/catatonit",
  ),
  // of its monitors, and of pods in hierarchies that it does not know
  keepsGroups: /^(conmon|[0-9a-f]{64})$/,
  remove: (caller, names) => caller.call(["rm", "--force", "--ignore", "--time", "0", ...names]),
  async open({ dir, runtime, scope }) {
    // crun 1.8 takes no hybrid layout of cgroups: it gets one without the v2 tree
    const hide = runtime === "crun" ? "umount /sys/fs/cgroup/unified || true" : "";
    const { enter } = scope.use(await ownMounts(hide));
    return await openPodman(dir, await busyboxLayout(), { enter, runtime: withOwnRoot(dir, runtime) });
  },
});

/** On cgroup v1 podman 4.3 gives the containers of a user no cgroups of their own. */
const notForUsers = [
  "limits of memory",
  "update changes",
  "stats tell",
  "what the kernel kills",
  "pause stops",
  "a paused container",
  // devices of the host, and limits above the user's
  "hostname, limits",
  // the first podman process does not pass it on to the one in the user namespace
  "a signal to run",
];

const userCases: readonly Case[] = [
  {
    name: "root inside is the user outside, and other ids are the user's subordinate ones",
    async body(caller) {
      const script = "cat /proc/self/uid_map | tr -s ' '; id -u; chown user /tmp && stat -c %u /tmp";
      const done = await caller.run(["--rm", caller.image, "sh", "-c", script]);
      assert.equal(done.stdout, ` 0 ${uid} 1\n 1 ${firstSubId} ${subIds}\n0\n1000\n`, done.stderr);
    },
  },
  {
    name: "the host's network can be had, with a /sys that is the host's",
    async body(caller) {
      const script = "readlink /proc/self/ns/net; ls /sys/class/net | grep -c lo";
      const done = await caller.call(["run", "--rm", "--network", "host", caller.image, "sh", "-c", script]);
      assert.equal(done.stdout, `${readlinkSync("/proc/self/ns/net")}\n1\n`, done.stderr);
    },
  },
  {
    name: "keep-id gives the user its own id inside",
    async body(caller) {
      const done = await caller.run(["--rm", "--userns", "keep-id", caller.image, "id", "-u"]);
      assert.equal(done.stdout, `${uid}\n`, done.stderr);
    },
  },
];

declare({
  name: "podman-of-a-user",
  runtimes: ["crun", "gantry-oci"],
  cases: [
    ...containerCases.filter(({ name }) => !notForUsers.some((start) => name.startsWith(start))),
    ...userCases,
  ],
  groups: false,
  skip: needs(...userNeeds, "podman", "crun", gantryOciProgram, "/bin/busybox", "/usr/bin/catatonit"),
  remove: (caller, names) => caller.call(["rm", "--force", "--ignore", "--time", "0", ...names]),
  async open({ dir, runtime, scope }) {
    const hide = runtime === "crun" ? "umount /sys/fs/cgroup/unified || true" : "";
    const user = scope.use(await makeUser(hide));
    const place = join(user.home, "podman");
    const layout = join(user.home, "layout");
    for (const folder of [place, join(place, "volatile")]) mkdirSync(folder);
    await must(["cp", "-r", await busyboxLayout(), layout]);
    await must(["chown", "-R", `${uid}:${uid}`, place, layout]);
    const program = runtime === "gantry-oci" ? user.gantryOci : undefined;
    const peer = await openPodman(place, layout, {
      enter: user.enter(),
      runtime: withOwnRoot(dir, runtime, join(user.home, "run", "runtime"), program),
    });
    // ends the process that keeps its user namespace
    scope.defer(() => command([...peer.cli, "system", "migrate"], { env: peer.env }));
    return peer;
  },
});
