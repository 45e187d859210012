/** What containers have of others, and what is no plain path of the host. */
import assert from "node:assert/strict";
import { readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine } from "../../../src/index.ts";
import { findExecutor } from "../../../src/launch/executor.ts";
import { until } from "../../lib/until.ts";
import type { Case } from "./trial.ts";

export const sharing: readonly Case[] = [
  {
    title: "namespaces of other containers and of a pod",
    async run({ box, sh }) {
      await box.must(["run", "-d", "--name", "donor", "--ipc", "shareable", "busybox", "sleep", "600"]);
      const donor = await box.must([
        "exec",
        "donor",
        "sh",
        "-c",
        "readlink /proc/self/ns/net; echo x > /dev/shm/note",
      ]);
      const joins = ["--network", "container:donor", "--ipc", "container:donor", "--pid", "container:donor"];
      const seen = await sh("readlink /proc/self/ns/net; cat /dev/shm/note; ps -o args", ...joins);
      assert.match(seen, new RegExp(`^${donor.replace(/[[\]]/g, "\\$&")}\nx\n[\\s\\S]*sleep 600`));
      await box.must(["rm", "-f", "donor"]);
      await box.must(["pod", "create", "--name", "web", "--share", "net,ipc,uts,pid"]);
      const first = await sh("readlink /proc/self/ns/net; hostname; ps -o args", "--pod", "web");
      assert.match(first, /^net:\[\d+\]\nweb\n[\s\S]*gantry-pause/);
      await box.must(["pod", "rm", "web"]);
    },
  },
  {
    title: "an image and parts of a volume as mounts, which nothing leads out of",
    async run({ box, sh }) {
      const fill = "mkdir -p /v/a/b; echo in > /v/a/b/f; ln -s /etc /v/out; echo one > /v/file";
      await sh(fill, "-v", "data:/v");
      const part = (path: string) => ["--mount", `type=volume,src=data,dst=/part,volume-subpath=${path}`];
      assert.equal(
        await sh("cat /part/f; echo more >> /part/f; cat /part/f", ...part("a/b")),
        "in\nin\nmore",
      );
      assert.equal(await sh("cat /part", ...part("file")), "one");
      await assert.rejects(sh("ls /part", ...part("out")), /invalid cross-device link/);
      await assert.rejects(sh("ls /part", ...part("nothing")), /nothing: no such file or directory/);
      const image = (rest: string) => ["--mount", `type=image,src=busybox,dst=/image${rest}`];
      assert.match(
        await sh("ls /image/bin; touch /image/x 2>&1 || true", ...image("")),
        /busybox[\s\S]*Read-only/,
      );
      assert.match(await sh("cat /image/passwd", ...image(",image-subpath=etc")), /^root:/);
      assert.match(await sh("cat /image", ...image(",image-subpath=etc/passwd")), /^root:/);
      await box.must(["volume", "rm", "data"]);
    },
  },
  {
    title: "a tmpfs volume, with containers of any runtime, all of it and parts",
    async run({ box, options }) {
      const device = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=2m,mode=711,nosuid"];
      await box.must(["volume", "create", ...device, "mem"]);
      const run = (name: string, ...more: readonly string[]) =>
        box.must(["run", "-d", "--name", name, ...more, "busybox", "sleep", "1000"]);
      const shell = (name: string, script: string) => box.must(["exec", name, "sh", "-c", script]);
      await run("first", ...options, "-v", "mem:/m");
      assert.equal(
        await shell(
          "first",
          "df -k /m | tail -n 1 | awk '{print $2}'; stat -c %a /m; mkdir /m/in; echo x > /m/in/f",
        ),
        "2048\n711",
      );
      assert.match(await shell("first", "grep ' /m ' /proc/mounts"), / rw,.*nosuid/);
      await run("own", "-v", "mem:/other:ro");
      assert.equal(await shell("own", "cat /other/in/f"), "x");
      await box.must(["restart", "-t", "0", "first"]);
      assert.equal(await shell("first", "cat /m/in/f; echo y > /m/in/f; cat /m/in/f"), "x\ny");
      await run("part", ...options, "--mount", "type=volume,src=mem,dst=/part,volume-subpath=in,readonly");
      assert.equal(await shell("part", "cat /part/f; touch /part/g 2>/dev/null || echo no"), "y\nno");
      await box.must(["rm", "-f", "first", "own"]);
      await run("last", "-v", "mem:/m");
      assert.equal(await shell("last", "cat /m/in/f"), "y");
      await box.must(["rm", "-f", "last", "part"]);
      assert.equal(await box.must(["run", "--rm", ...options, "-v", "mem:/m", "busybox", "ls", "/m"]), "");
      await box.must(["volume", "rm", "mem"]);
    },
  },
  {
    title: "a user namespace: ids, volumes, execs, terminals; and one that joins it",
    needs: ["linux 6.15"],
    async run({ box, runtime, options }) {
      await using engine = await Engine.open({ root: box.root, state: box.state, executor: findExecutor() });
      const ids = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
      const userNamespace = { uidMappings: ids, gidMappings: ids };
      const device = { type: "tmpfs", device: "tmpfs" };
      await engine.createVolume({ name: "mem", options: device });
      const mounts = [
        { kind: "volume", source: "data", target: "/data" },
        { kind: "volume", source: "mem", target: "/mem" },
      ] as const;
      const script =
        "id -u; cat /proc/self/uid_map; touch /data/mine /mem/mine /mine; chown 5:6 /data/mine /mem/mine; exec sleep 1000";
      const container = await engine.run({
        ...{ image: "busybox", name: "mapped", runtime, userNamespace, mounts },
        command: ["sh", "-c", script],
      });
      const output = async () => await box.must(["logs", "mapped"]);
      await until("it to print", async () => /^0\n +0 +200000 +65536$/.test(await output()));
      const { mountpoint } = await engine.volume("data");
      await until(
        "it to write",
        () => statSync(join(mountpoint, "mine"), { throwIfNoEntry: false })?.uid === 5,
      );
      assert.equal(statSync(join(mountpoint, "mine")).gid, 6, "not the host's ids of the namespace");
      await until("it to write there too", async () =>
        (await box.must(["exec", "mapped", "ls", "-n", "/mem"])).includes(" 5 "),
      );
      const owners = ["stat", "-c", "%u:%g", "/mem", "/mem/mine"];
      assert.equal(
        await box.must(["run", "--rm", "-v", "mem:/mem", "busybox", ...owners]),
        "0:0\n5:6",
        "as without a user namespace",
      );
      assert.equal(await box.must(["exec", "mapped", ...owners]), "0:0\n5:6");
      const pid = Number(await box.must(["inspect", "-f", "{{.State.Pid}}", "mapped"]));
      assert.equal(statSync(`/proc/${pid}`).uid, 200_000);
      const asked = await box.gantry([
        "exec",
        "-t",
        "-u",
        "1000",
        "mapped",
        "sh",
        "-c",
        "tty; id -u; exit 3",
      ]);
      assert.deepEqual([asked.stdout, asked.code], ["/dev/pts/0\r\n1000\r\n", 3]);
      const joined = [
        "run",
        "--rm",
        "--userns",
        "container:mapped",
        ...options,
        "-v",
        "data:/data",
        "busybox",
      ];
      const seen = await box.must([
        ...joined,
        "sh",
        "-c",
        "readlink /proc/self/ns/user; id -u; ls -n /data; touch /x",
      ]);
      assert.match(seen, /\n0\n[\s\S]* 5 +6 .* mine$/);
      assert.equal(seen.split("\n")[0], readlinkSync(`/proc/${pid}/ns/user`));
      await box.must(["restart", "-t", "0", "mapped"]);
      await box.must(["rm", "-f", "mapped"]);
      await engine.createPod({ name: "mapped-pod", users: userNamespace });
      const inPod = [
        "run",
        "--rm",
        "--pod",
        "mapped-pod",
        ...options,
        "-v",
        "data:/data",
        "busybox",
        "sh",
        "-c",
      ];
      const other = await box.must([
        ...inPod,
        "cat /proc/self/uid_map; ls -n /data; touch /x /data/y; hostname",
      ]);
      assert.match(other, /^ +0 +200000 +65536\n[\s\S]* 5 +6 .* mine\nmapped-pod$/);
      await box.must(["pod", "rm", "mapped-pod"]);
      await engine.removeVolume("data");
      await engine.removeVolume("mem");
      await container[Symbol.asyncDispose]();
    },
  },
  {
    title: "a tiny init, a seccomp profile of one's own, devices, and tmpfs",
    async run({ box, sh }) {
      const first = await sh(
        "ps -o args | head -n 2; cat /proc/1/comm; sh -c 'sleep 0.01 & exit'; true",
        "--init",
      );
      assert.match(first, /docker-init/);
      const profile = join(box.dir, "profile.json");
      const rules = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }];
      writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: rules }));
      const refused = await sh(
        "mkdir /x 2>&1; grep Seccomp: /proc/self/status",
        "--security-opt",
        `seccomp=${profile}`,
      );
      assert.match(refused, /Function not implemented[\s\S]*Seccomp:\t2/);
      assert.match(
        await sh("grep Seccomp: /proc/self/status", "--security-opt", "seccomp=unconfined"),
        /Seccomp:\t0/,
      );
      const devices = ["--device", "/dev/null:/dev/nothing:r", "--tmpfs", "/t:size=1m,mode=700"];
      assert.equal(
        await sh("cat /dev/nothing; stat -c %a /t; df -k /t | tail -n 1 | awk '{print $2}'", ...devices),
        "700\n1024",
      );
      const privileged = await sh("mount -t tmpfs none /tmp && echo mounted", "--privileged");
      assert.equal(privileged, "mounted");
    },
  },
];
