/**
 * Writes to /proc that are led elsewhere (CVE-2025-52881, CVE-2019-16884, CVE-2023-27561): sysctls and
 * attributes go through a private proc that nobody else has mounted anything on.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Step } from "../../src/plan/plan.ts";
import { attack, type RawConfig } from "./cell.ts";

const hostForward = () => readFileSync("/proc/sys/net/ipv4/conf/all/rp_filter", "utf8");

/** A root whose /proc is an ordinary directory full of fakes. */
function fakeProc(proc: string): void {
  for (const dir of ["sys/net/ipv4/conf/all", "sys/kernel", "self/attr", "thread-self/attr"])
    mkdirSync(join(proc, dir), { recursive: true });
  const files = [
    "sys/net/ipv4/conf/all/rp_filter",
    "self/oom_score_adj",
    "self/attr/exec",
    "sys/kernel/shmmni",
  ];
  for (const file of files) writeFileSync(join(proc, file), "fake");
}

/** No proc at /proc, and the real one at /check. */
function checkedElsewhere(config: RawConfig): void {
  config.mounts = config.mounts.filter(({ destination }: RawConfig) => destination !== "/proc");
  config.mounts.push({ destination: "/check", type: "proc", source: "proc" });
  config.linux.maskedPaths = [];
  config.linux.readonlyPaths = [];
  config.linux.sysctl = { "net.ipv4.conf.all.rp_filter": "2", "kernel.shmmni": "4000" };
  config.process.oomScoreAdj = 567;
}

const look = "cat /check/sys/net/ipv4/conf/all/rp_filter /check/sys/kernel/shmmni /check/self/oom_score_adj";

attack(
  "CVE-2025-52881: sysctls and the OOM score reach the kernel, not an image's fake /proc",
  async (cell) => {
    const before = hostForward();
    const rootfs = cell.rootfs();
    fakeProc(join(rootfs, "proc"));
    const { stdout, error } = await cell.run(["/bin/sh", "-c", look], { rootfs, change: checkedElsewhere });
    assert.equal(stdout, "2\n4000\n567\n", error);
    assert.equal(readFileSync(join(rootfs, "proc/sys/net/ipv4/conf/all/rp_filter"), "utf8"), "fake");
    assert.equal(readFileSync(join(rootfs, "proc/self/oom_score_adj"), "utf8"), "fake");
    assert.equal(hostForward(), before, "the host's own network is as it was");
  },
);

attack("CVE-2023-27561: a link at /proc leads no write away", async (cell) => {
  const rootfs = cell.rootfs();
  rmSync(join(rootfs, "proc"), { recursive: true });
  mkdirSync(join(rootfs, "trap"));
  symlinkSync("/trap", join(rootfs, "proc"));
  fakeProc(join(rootfs, "trap"));
  const { stdout, error } = await cell.run(["/bin/sh", "-c", look], { rootfs, change: checkedElsewhere });
  assert.equal(stdout, "2\n4000\n567\n", error);
  assert.equal(readFileSync(join(rootfs, "trap/sys/net/ipv4/conf/all/rp_filter"), "utf8"), "fake");
});

attack(
  "CVE-2025-52881: a mount over a part of the container's proc is not where a sysctl goes",
  async (cell) => {
    // what a racing container with the same mounts would do: its own proc is not the one that is written to
    const rootfs = cell.rootfs();
    const fake = cell.folder();
    mkdirSync(join(fake, "ipv4/conf/all"), { recursive: true });
    writeFileSync(join(fake, "ipv4/conf/all/rp_filter"), "fake");
    const { stdout, error } = await cell.run(["/bin/sh", "-c", look], {
      rootfs,
      change: (config) => {
        checkedElsewhere(config);
        config.mounts.push({ destination: "/proc", type: "proc", source: "proc" });
      },
      plan: (plan) => ({
        ...plan,
        // the check against mounts inside proc is taken out: the mount is there before the sysctls
        child: plan.child.flatMap((step): readonly Step[] =>
          step.op === "pivot"
            ? [
                {
                  op: "make-mount",
                  where: "",
                  type: "tmpfs",
                  options: ["source=x"],
                  attributes: 0,
                  fd: "trap",
                },
                {
                  op: "attach-mount",
                  where: "",
                  mount: "trap",
                  root: "root",
                  path: "/proc/sys/net",
                  options: 8,
                },
                { op: "close", where: "", fd: "trap" },
                step,
              ]
            : [step],
        ),
      }),
    });
    assert.equal(stdout, "2\n4000\n567\n", error);
  },
);

attack(
  "CVE-2022-0811: a sysctl of the machine, or a name that climbs, is refused with its place",
  async (cell) => {
    const names = [
      "kernel.core_pattern",
      "kernel/core_pattern",
      "net/../kernel/core_pattern",
      "net.ipv4...kernel.core_pattern",
      "net/ipv4/../../kernel/core_pattern",
      "net..ipv4",
      "net//ipv4",
      "net/./ipv4/ip_forward",
      "/net/ipv4/ip_forward",
      "net.ipv4.ip_forward ",
      "net.ipv4.ip_forward\n",
      "net.ipv4.ip_forward+kernel.core_pattern",
      "kernel.shm_rmid_forced.x/../core_pattern",
      "vm.overcommit_memory",
      "kernel.sysrq",
      "fs.mqueue.../../../kernel/core_pattern",
      "",
      ".",
      "..",
      "net",
    ];
    const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
    for (const name of names) {
      const { code, error, pointer } = await cell.run(["/bin/true"], {
        change: (config) => {
          config.linux.sysctl = { [name]: "|/bin/owned" };
        },
      });
      assert.equal(code, undefined, JSON.stringify(name));
      assert.equal(pointer, `/linux/sysctl/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, error);
      assert.equal(readFileSync("/proc/sys/kernel/core_pattern", "utf8"), pattern);
    }
  },
);

attack("CVE-2022-0811: sysctls of a namespace that is shared with the host are refused", async (cell) => {
  const { code, pointer, error } = await cell.run(["/bin/true"], {
    options: { network: "host", sysctls: { "net.ipv4.ip_forward": "1" } },
  });
  assert.equal(code, undefined);
  assert.equal(pointer, "/linux/sysctl/net.ipv4.ip_forward");
  assert.match(error, /not allowed in the hosts network namespace/);
});
