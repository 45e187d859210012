/** What is asked of the first process, and what its end tells. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case } from "./trial.ts";

export const starts: readonly Case[] = [
  {
    title: "streams apart, stdin to its end, and the exit status",
    async run({ box, options }) {
      const run = ["run", "--rm", ...options];
      const both = await box.gantry([...run, "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"]);
      assert.deepEqual([both.stdout, both.stderr, both.code], ["out\n", "err\n", 7]);
      const fed = await box.gantry([...run, "-i", "busybox", "tr", "a-z", "A-Z"], { stdin: "hello\n" });
      assert.deepEqual([fed.stdout, fed.code], ["HELLO\n", 0]);
      const many = await box.must([
        ...run,
        "busybox",
        "sh",
        "-c",
        "head -c 3000000 /dev/zero | tr '\\0' x | wc -c",
      ]);
      assert.equal(many, "3000000");
      const large = await box.gantry([...run, "busybox", "sh", "-c", "head -c 3000000 /dev/zero"]);
      assert.equal(large.stdout.length, 3_000_000);
    },
  },
  {
    title: "a program that is not there ends with 127, one that cannot be run with 126",
    async run({ box, options }) {
      for (const [program, status] of [
        ["nosuch", 127],
        ["/no/such", 127],
        ["/etc/passwd", 126],
      ] as const) {
        const failed = await box.gantry(["run", ...options, "busybox", program]);
        assert.equal(failed.code, status, failed.stderr);
        assert.match(
          failed.stderr,
          /unable to start container process|executable file|no such file|permission denied/i,
        );
      }
      assert.equal(await box.must(["ps", "-aq"]), "");
    },
  },
  {
    title: "what was asked for of the process",
    async run({ box, sh }) {
      mkdirSync(join(box.dir, "shared"));
      writeFileSync(join(box.dir, "shared/note"), "from the host\n");
      const seen = await sh(
        [
          "id -u; pwd; echo $A; hostname; ulimit -n; cat /m/note",
          "touch /m/x 2>/dev/null || echo read-only mount; touch /x 2>/dev/null || echo read-only root",
          "cat /proc/sys/net/ipv4/ip_forward; grep -c . /proc/net/dev",
          "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status",
        ].join("; "),
        ...[
          "-u",
          "1000:1000",
          "-w",
          "/tmp",
          "-e",
          "A=b",
          "-h",
          "named",
          "--ulimit",
          "nofile=123:456",
          "--read-only",
        ],
        ...["-v", `${join(box.dir, "shared")}:/m:ro`, "--sysctl", "net.ipv4.ip_forward=1"],
        ...["--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges"],
      );
      assert.equal(
        seen.replaceAll("\t", " "),
        [
          ...[
            "1000",
            "/tmp",
            "b",
            "named",
            "123",
            "from the host",
            "read-only mount",
            "read-only root",
            "1",
            "3",
          ],
          ...["CapBnd: 0000000000000001", "NoNewPrivs: 1", "Seccomp: 2"],
        ].join("\n"),
      );
      assert.match(await sh("mount -t tmpfs none /mnt || true; unshare -m true || true; ls /dev"), /null/);
    },
  },
  {
    title: "limits are those of its cgroup",
    async run({ box, options }) {
      await box.must([
        ...["run", "-d", "--name", "limited", ...options, "-m", "32m", "--pids-limit", "50", "--cpus", "0.5"],
        ...["busybox", "sleep", "600"],
      ]);
      const id = await box.must(["inspect", "-f", "{{.Id}}", "limited"]);
      const read = (...paths: readonly string[]) => {
        const path = paths.find(existsSync);
        assert.ok(path, paths.join(", "));
        return readFileSync(path, "utf8").trim();
      };
      const v2 = `/sys/fs/cgroup/gantry/${id}`;
      assert.equal(
        read(`/sys/fs/cgroup/memory/gantry/${id}/memory.limit_in_bytes`, `${v2}/memory.max`),
        String(32 * 1024 * 1024),
      );
      assert.equal(read(`/sys/fs/cgroup/pids/gantry/${id}/pids.max`, `${v2}/pids.max`), "50");
      assert.match(read(`/sys/fs/cgroup/cpu/gantry/${id}/cpu.cfs_quota_us`, `${v2}/cpu.max`), /^50000/);
      await box.must(["rm", "-f", "limited"]);
      assert.equal(existsSync(`/sys/fs/cgroup/memory/gantry/${id}`), false);
    },
  },
];
