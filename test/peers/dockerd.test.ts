/** dockerd and the docker command, with gantry-oci where it calls runc. */
import assert from "node:assert/strict";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDockerd } from "../../bench/peers/dockerd.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { ownMounts } from "../lib/mount-namespace.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { type Caller, type Case, cgroupValue, declare, type Place, runtimePath } from "./caller.ts";
import { containerCases } from "./cases/all.ts";
import { sleeping } from "./cases/containers.ts";

const programs = ["dockerd", "docker", "containerd", "runc", "skopeo", "/bin/busybox"];
const skip = needs("root", ...programs, gantryOciProgram, "docker-init");

const restarts = (daemon: string): Case => ({
  name: `${daemon} killed and started again finds its container alive, and sees it end`,
  async body(caller) {
    const name = await sleeping(caller);
    const pid = await caller.inspect(name, ".State.Pid");
    await caller.peer.restart?.(daemon);
    await until("the daemon to answer", async () => (await caller.call(["info"])).code === 0);
    await caller.reaches(name, ".State.Running", "true");
    assert.equal(await caller.inspect(name, ".State.Pid"), pid);
    // dockerd takes a while to find a new containerd
    const exec = ["exec", name, "echo", "still"];
    await until("exec to work", async () => (await caller.call(exec)).stdout === "still\n", 30_000);
    await caller.must(["stop", "--time", "20", name]);
    assert.equal(await caller.inspect(name, ".State.ExitCode"), "3");
  },
});

const dockerCases: readonly Case[] = [
  restarts("dockerd"),
  restarts("containerd"),
  {
    name: "what ended while dockerd was dead is told with its status",
    async body(caller) {
      const script = "echo up; while ! test -e /go; do sleep 0.05; done; exit 5";
      const name = await caller.detached([caller.image, "sh", "-c", script]);
      await caller.says(name, "up");
      const pid = Number(await caller.inspect(name, ".State.Pid"));
      writeFileSync(`/proc/${pid}/root/go`, "");
      await caller.peer.restart?.("dockerd");
      await caller.reaches(name, ".State.Status", "exited");
      assert.equal(await caller.inspect(name, ".State.ExitCode"), "5");
    },
  },
  {
    name: "a restart policy starts again what failed",
    async body(caller) {
      const name = await caller.detached([
        "--restart",
        "on-failure:2",
        caller.image,
        "sh",
        "-c",
        "echo go; exit 1",
      ]);
      await caller.reaches(name, ".RestartCount", "2");
      await caller.reaches(name, ".State.Status", "exited");
      assert.equal(await caller.must(["logs", name]), "go\ngo\ngo");
    },
  },
  {
    name: "info knows the runtime",
    async body(caller) {
      assert.equal(await caller.must(["info", "--format", "{{.DefaultRuntime}}"]), "chosen");
    },
  },
];

function remove(caller: Caller, names: readonly string[]) {
  return caller.call(["rm", "--force", ...names]);
}

async function open({ dir, runtime, group }: Place, enter: readonly string[], ...flags: string[]) {
  return await openDockerd(dir, await busyboxLayout(), {
    runtime: runtimePath(runtime),
    enter,
    flags: ["--containerd-namespace", group, ...flags],
  });
}

declare({
  name: "docker",
  runtimes: ["runc", "gantry-oci"],
  cases: [...containerCases, ...dockerCases],
  skip,
  remove,
  open: (place) => open(place, [], "--live-restore"),
});

const remapCases: readonly Case[] = [
  {
    name: "root inside is nobody of the host's outside, and owns the files",
    async body(caller) {
      const name = await sleeping(caller, "--memory", "32m");
      const pid = await caller.inspect(name, ".State.Pid");
      assert.equal(statSync(`/proc/${pid}`).uid, 300000);
      assert.equal(cgroupValue(pid, "memory", "memory.limit_in_bytes", "memory.max"), String(32 << 20));
      const script =
        "id -u; touch /mine && stat -c %u /mine /etc/passwd; echo x > /dev/null && echo null; mount | grep -c cgroup";
      const out = await caller.must(["exec", name, "sh", "-c", script]);
      assert.match(out, /^0\n0\n0\nnull\n[1-9]\d*$/);
    },
  },
  {
    name: "run, exec, terminals and read-only roots work as without",
    async body(caller) {
      const done = await caller.run([
        "--rm",
        "--tty",
        "--read-only",
        "--user",
        "user",
        caller.image,
        "sh",
        "-c",
        "id -u; test -t 0 && exit 8",
      ]);
      assert.deepEqual([done.code, done.stdout.trim()], [8, "1000"], done.stderr);
    },
  },
  {
    name: "the host's own user namespace can be asked for",
    async body(caller) {
      const done = await caller.run(["--rm", "--userns", "host", caller.image, "cat", "/proc/self/uid_map"]);
      assert.match(done.stdout, /^ +0 +0 +4294967295\n$/, done.stderr);
    },
  },
];

declare({
  name: "docker-remapped",
  runtimes: ["runc", "gantry-oci"],
  cases: remapCases,
  skip,
  remove,
  async open(place) {
    // files of the machine that the daemon reads, as they shall be here
    const file = join(place.dir, "subids");
    writeFileSync(file, "daemon:300000:65536\n");
    const script = ["/etc/subuid", "/etc/subgid"].map((path) => `mount --bind ${file} ${path}`);
    const { enter } = place.scope.use(await ownMounts(script.join("\n")));
    return await open(place, enter, "--userns-remap", "daemon");
  },
});
