/** What a container sees and may do. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case } from "../caller.ts";
import { inside, prints, sleeping } from "./containers.ts";

export const confinementCases: readonly Case[] = [
  {
    name: "a read-only root refuses to be written, a tmpfs in it does not",
    async body(caller) {
      const script = "touch /tmp/x && echo tmp; touch /y 2>&1; mkdir /etc/z 2>&1; true";
      const out = await prints(caller, ["--read-only", "--tmpfs", "/tmp"], script);
      assert.match(out, /^tmp\n.*Read-only file system\n.*Read-only file system$/);
    },
  },
  {
    name: "--init puts an init before the program",
    async body(caller) {
      const out = await prints(caller, ["--init"], "cat /proc/1/comm; echo $$; exec true");
      assert.match(out, /^(docker-init|podman-init)\n[2-9]$/);
    },
  },
  {
    name: "volumes show the host's files, read-only where asked",
    async body(caller) {
      const folder = join(caller.files, "volume");
      mkdirSync(folder, { recursive: true });
      // whoever root inside is
      chmodSync(folder, 0o777);
      writeFileSync(join(folder, "here"), "host\n");
      const volume = ["--volume", `${folder}:/rw`, "--volume", `${folder}:/deep/er/ro:ro`];
      const script =
        "cat /deep/er/ro/here; touch /deep/er/ro/x 2>/dev/null || echo no; touch /rw/x && echo yes";
      assert.equal(await prints(caller, volume, script), "host\nno\nyes");
    },
  },
  {
    name: "user, groups and capabilities are those asked for",
    async body(caller) {
      const flags = ["--user", "user", "--group-add", "wheel", "--group-add", "77"];
      assert.equal(await prints(caller, flags, "id -u; id -g; id -G"), "1000\n1000\n1000 10 77");
      const caps = "grep -i -E 'cap(eff|bnd)|nonewp' /proc/self/status | tr -d '\\t'";
      const dropped = await prints(caller, ["--cap-drop", "all", "--cap-add", "chown"], caps);
      assert.equal(dropped, "CapEff:0000000000000001\nCapBnd:0000000000000001\nNoNewPrivs:0");
      const none = ["--user", "1000", "--cap-drop", "all", "--security-opt", "no-new-privileges"];
      assert.equal(
        await prints(caller, none, caps),
        "CapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1",
      );
    },
  },
  {
    name: "the default profile of seccomp is in force, and can be switched off",
    async body(caller) {
      assert.match(await prints(caller, [], "grep Seccomp: /proc/self/status"), /2$/);
      if (caller.peer.name === "docker") {
        const refused = await inside(caller, [], "unshare --user true");
        assert.notEqual(refused.code, 0);
        assert.match(refused.stderr, /Operation not permitted/);
      }
      const off = ["--security-opt", "seccomp=unconfined"];
      assert.match(await prints(caller, off, "grep Seccomp: /proc/self/status"), /0$/);
    },
  },
  {
    name: "hostname, limits, sysctls, size of /dev/shm and devices are those asked for",
    async body(caller) {
      const flags = [
        ...[
          "--hostname",
          "boxy",
          "--ulimit",
          "nofile=100:200",
          "--ulimit",
          "nproc=1000:1000",
          "--shm-size",
          "2m",
        ],
        ...["--sysctl", "kernel.shmmni=512", "--device", "/dev/fuse:/dev/blown:r"],
      ];
      const script =
        "hostname; ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2; cat /proc/sys/kernel/shmmni; stat -c '%F %t:%T' /dev/blown";
      const out = await prints(caller, flags, script);
      assert.equal(out, "boxy\n100\n200\n2048\n512\ncharacter special file a:e5");
    },
  },
  {
    name: "--privileged sees the devices and may mount",
    not: { docker: "it asks for every capability, which a confined machine does not have" },
    async body(caller) {
      const script =
        "mount -t tmpfs none /tmp && echo mounted; test -e /dev/kmsg -o -e /dev/fuse && echo devices";
      assert.equal(await prints(caller, ["--privileged"], script), "mounted\ndevices");
    },
  },
  {
    name: "namespaces of another container and of the host can be shared",
    async body(caller) {
      const name = await sleeping(caller, "--ipc", "shareable");
      const names = ["net", "pid", "ipc"].map((kind) => `readlink /proc/self/ns/${kind}`).join("; ");
      const theirs = await caller.must(["exec", name, "sh", "-c", names]);
      const shared = [`--network=container:${name}`, `--pid=container:${name}`, `--ipc=container:${name}`];
      const args = ["run", "--rm", ...caller.parent, ...shared, caller.image];
      assert.equal(await caller.must([...args, "sh", "-c", names]), theirs);
      const host = await prints(caller, ["--pid", "host"], "readlink /proc/self/ns/pid");
      assert.equal(host, readlinkSync("/proc/self/ns/pid"));
    },
  },
  {
    name: "masked paths are empty and sysctls read-only",
    async body(caller) {
      const script =
        "cat /proc/kcore | wc -c; ls /sys/firmware | wc -l; echo 1 2>/dev/null > /proc/sys/kernel/panic || echo ro";
      assert.match(await prints(caller, [], script), /^0\n0\nro$/);
    },
  },
];
