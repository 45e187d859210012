/** Freezing, limits, and what becomes of them. */
import assert from "node:assert/strict";
import { type Case, cgroupValue } from "../caller.ts";
import { sleeping } from "./containers.ts";

export const resourceCases: readonly Case[] = [
  {
    name: "pause stops the program and unpause lets it go on",
    async body(caller) {
      const name = await caller.detached([
        caller.image,
        "sh",
        "-c",
        "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.01; done",
      ]);
      await caller.must(["pause", name]);
      assert.equal(await caller.inspect(name, ".State.Status"), "paused");
      const pid = await caller.inspect(name, ".State.Pid");
      assert.match(cgroupValue(pid, "freezer", "freezer.state", "cgroup.freeze"), /^(FROZEN|1)$/);
      const refused = await caller.call(["exec", name, "true"]);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /paused|can only create exec sessions on running containers/);
      await caller.must(["unpause", name]);
      assert.equal(await caller.inspect(name, ".State.Status"), "running");
      assert.equal((await caller.call(["exec", name, "true"])).code, 0);
    },
  },
  {
    name: "a paused container can be removed by force",
    async body(caller) {
      const name = await sleeping(caller);
      await caller.must(["pause", name]);
      await caller.must(["rm", "--force", name]);
    },
  },
  {
    name: "limits of memory, cpu and processes stand in the cgroup files",
    async body(caller) {
      const flags = ["--memory", "64m", "--cpu-shares", "512", "--cpu-quota", "50000", "--cpuset-cpus", "0"];
      const name = await sleeping(caller, ...flags, "--pids-limit", "50");
      const pid = await caller.inspect(name, ".State.Pid");
      assert.equal(cgroupValue(pid, "memory", "memory.limit_in_bytes", "memory.max"), String(64 << 20));
      assert.match(cgroupValue(pid, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000( 100000)?$/);
      assert.equal(cgroupValue(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
      assert.equal(cgroupValue(pid, "pids", "pids.max", "pids.max"), "50");
      assert.match(cgroupValue(pid, "cpu", "cpu.shares", "cpu.weight"), /^\d+$/);
    },
  },
  {
    name: "update changes the limits of a container that runs",
    async body(caller) {
      const name = await sleeping(caller, "--memory", "64m");
      const pid = await caller.inspect(name, ".State.Pid");
      await caller.must(["update", "--memory", "96m", "--memory-swap", "96m", "--cpu-quota", "20000", name]);
      assert.equal(cgroupValue(pid, "memory", "memory.limit_in_bytes", "memory.max"), String(96 << 20));
      assert.match(cgroupValue(pid, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^20000( 100000)?$/);
    },
  },
  {
    name: "stats tell what it uses",
    async body(caller) {
      const name = await sleeping(caller, "--memory", "64m");
      const text = await caller.must(["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", name]);
      assert.match(text, /^[\d.]+[kKM]i?B \/ (64MiB|67.11MB) [1-9]\d*$/);
    },
  },
  {
    name: "what the kernel kills for want of memory is told as such",
    async body(caller) {
      const limit = ["--memory", "24m", "--memory-swap", "24m"];
      // a shell that outlives what is killed: monitors read of it while the container is there
      const script = "tail /dev/zero; echo status $?; sleep 1; exit 4";
      const name = await caller.detached([...limit, caller.image, "sh", "-c", script]);
      assert.equal(await caller.must(["wait", name]), "4");
      assert.match(await caller.must(["logs", name]), /status 137/);
      // podman 4.3 does not look at what conmon noted
      if (caller.peer.name === "docker") await caller.reaches(name, ".State.OOMKilled", "true");
    },
  },
];
