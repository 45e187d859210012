/**
 * Masks, device nodes and terminals that an image or a volume prepared (CVE-2025-31133, CVE-2025-52565,
 * CVE-2017-16539, CVE-2018-10892): what hides a path is the host's own /dev/null, proved to be it.
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { maskedPaths, readonlyPaths } from "../../src/bundle/runtime-config.ts";
import { must } from "../lib/command.ts";
import { attack, type RawConfig, without } from "./cell.ts";

/** Leaves out /dev and what is below: the image's own /dev stays. */
function withOwnDev(config: RawConfig): void {
  config.mounts = config.mounts.filter(({ destination }: RawConfig) => !destination.startsWith("/dev"));
}

attack("CVE-2025-31133: a link or a file of the image at /dev/null is refused, not used", async (cell) => {
  for (const fake of ["link", "file", "link to a device"]) {
    const rootfs = cell.rootfs();
    const place = join(rootfs, "dev/null");
    writeFileSync(join(rootfs, "target"), "untouched");
    if (fake === "link") symlinkSync("/target", place);
    else if (fake === "file") writeFileSync(place, "fake");
    else symlinkSync("/proc/sys/kernel/core_pattern", place);
    const { code, error, op } = await cell.run(["/bin/true"], { rootfs, change: withOwnDev });
    assert.equal(code, undefined, fake);
    assert.equal(op, "make-device");
    assert.match(error, /error creating device nodes: \/dev\/null/);
    assert.equal(readFileSync(join(rootfs, "target"), "utf8"), "untouched");
  }
});

attack("CVE-2025-31133: masks are the real /dev/null, whatever a volume at /dev pretends", async (cell) => {
  const fakes: Record<string, (path: string) => void> = {
    file: (path) => writeFileSync(path, "leak"),
    "link to a secret": (path) => symlinkSync("/secret", path),
    "link to proc": (path) => symlinkSync("/proc/version", path),
  };
  for (const [name, make] of Object.entries(fakes)) {
    const rootfs = cell.rootfs();
    writeFileSync(join(rootfs, "secret"), "leak");
    writeFileSync(join(rootfs, "masked"), "leak");
    const dev = cell.folder();
    mkdirSync(join(dev, "pts"));
    make(join(dev, "null"));
    const script =
      'for m in /masked /proc/timer_list /proc/keys; do [ -e $m ] && echo "$m $(stat -c "%t:%T" $m) [$(cat $m)]"; done';
    const { stdout, error } = await cell.run(["/bin/sh", "-c", script], {
      rootfs,
      change: (config) => {
        withOwnDev(config);
        config.mounts.push({ destination: "/dev", type: "bind", source: dev, options: ["rbind"] });
        config.linux.maskedPaths.push("/masked");
      },
    });
    assert.match(stdout, /^\/masked 1:3 \[\]$/m, `${name}: ${error}`);
    assert.doesNotMatch(stdout, /leak|Linux version/, name);
  }
});

attack(
  "CVE-2025-31133: old runc hides paths under whatever the container calls /dev/null",
  async (cell) => {
    const rootfs = cell.rootfs();
    writeFileSync(join(rootfs, "masked"), "hidden");
    const dev = cell.folder();
    mkdirSync(join(dev, "pts"));
    writeFileSync(join(dev, "null"), "leak");
    const { stdout, stderr } = await cell.runc(["/bin/cat", "/masked"], {
      rootfs,
      change: (config) => {
        withOwnDev(config);
        config.mounts.push({ destination: "/dev", type: "bind", source: dev, options: ["rbind"] });
        config.linux.maskedPaths = ["/masked"];
      },
    });
    // fixed in 1.2.8: where runc is older the attack is shown to be real
    const fixed = !/^runc version 1\.([01]\.|2\.[0-7]\b)/.test(await must(["runc", "--version"]));
    assert.equal(/leak/.test(stdout), !fixed, stderr);
  },
  "runc",
);

attack(
  "CVE-2025-52565: a link at /dev/pts or /dev/console of a volume takes no mount out of the root",
  async (cell) => {
    const outside = cell.folder();
    const rootfs = cell.rootfs();
    const dev = cell.folder();
    symlinkSync(`../../../../../../..${outside}`, join(dev, "pts"));
    symlinkSync("/proc/sys/kernel", join(dev, "shm"));
    mkdirSync(join(rootfs, outside), { recursive: true });
    const mount = (destination: string, type: string) => ({
      destination,
      type,
      source: type,
      options: ["nosuid"],
    });
    const start = (mounts: readonly RawConfig[]) =>
      cell.run(["/bin/grep", "devpts", "/proc/self/mountinfo"], {
        rootfs,
        change: (config) => {
          withOwnDev(config);
          config.mounts.push(
            { destination: "/dev", type: "bind", source: dev, options: ["rbind"] },
            ...mounts,
          );
        },
      });
    const { code, stdout, error } = await start([mount("/dev/pts", "devpts")]);
    assert.equal(code, 0, error);
    assert.equal(
      stdout.split(" ")[4],
      outside,
      "the terminal file system is at the same path of the container's root",
    );
    const onto = await start([mount("/dev/shm", "tmpfs")]);
    assert.equal(onto.code, undefined);
    assert.match(onto.error, /is inside \/proc/);
  },
);

attack("CVE-2025-31133: a default device cannot be made through a link of a volume", async (cell) => {
  const outside = cell.folder();
  const rootfs = cell.rootfs();
  rmSync(join(rootfs, "dev"), { recursive: true });
  mkdirSync(join(rootfs, "dev"));
  symlinkSync(join(outside, "made"), join(rootfs, "dev/fifo"));
  const device = (path: string) => ({ path, type: "c", major: 1, minor: 3, fileMode: 0o666 });
  symlinkSync(outside, join(rootfs, "dev/dir"));
  for (const path of [
    "/dev/fifo",
    "/dev/dir/null",
    `/dev/../../../..${outside}/null`,
    "/dev/fd/../../../../null",
  ]) {
    const { code, pointer } = await cell.run(["/bin/true"], {
      rootfs,
      change: (config) => {
        withOwnDev(config);
        config.linux.devices = [device(path)];
      },
    });
    if (code === undefined) assert.match(pointer, /^\/linux\/devices\/0/, path);
    assert.deepEqual(readFileSync("/proc/self/mountinfo", "utf8").includes(outside), false);
    assert.deepEqual(readdirSync(outside), [], path);
  }
});

attack(
  "CVE-2017-16539, CVE-2018-10892: what Docker hides is hidden, what it makes read-only is read-only",
  async (cell) => {
    const script = [
      `for m in ${maskedPaths.join(" ")}; do [ -e $m ] || continue; if [ -d $m ]; then echo "$m dir $(ls $m | wc -l)"; else echo "$m $(stat -c %t:%T $m)"; fi; done`,
      `for r in ${readonlyPaths.join(" ")}; do [ -e $r ] || continue; f=$r; [ -d $r ] && f=$(find $r -type f -perm -200 | head -n1); [ -n "$f" ] && { echo x > $f; } 2>&1; done`,
      "echo x > /proc/sysrq-trigger; echo x > /proc/sys/kernel/core_pattern; echo x > /sys/kernel/uevent_helper; echo done",
    ].join("\n");
    const real = await cell.run(["/bin/sh", "-c", script]);
    for (const line of real.stdout.trim().split("\n").slice(0, -1))
      assert.match(line, /^\S+ (dir 0|1:3)$|Read-only file system|nonexistent/, real.stdout);
    assert.match(real.stdout, /^\/proc\/(keys|timer_list|interrupts|kcore) 1:3$/m);
    assert.match(real.stdout, /^done$/m);
    assert.match(real.stderr, /core_pattern: Read-only file system/);
    // the attack is real: without the masks they are readable
    const bare = await cell.run(["/bin/sh", "-c", script.split("\n")[0]!], { plan: without("mask-path") });
    assert.notEqual(bare.stdout, "");
    assert.doesNotMatch(bare.stdout, / 1:3$/m);
  },
);

attack("CVE-2017-16539: masks and read-only paths cannot be taken off from inside", async (cell) => {
  const script =
    "umount /proc/keys; umount -l /proc/sys; mount -o remount,rw /proc/sys; mount -o remount,bind,rw /proc/sys; mount -t proc p /mnt; echo end";
  for (const seccomp of ["builtin", "unconfined"]) {
    const { stdout, stderr } = await cell.run(["/bin/sh", "-c", script], {
      options: { securityOpt: [`seccomp=${seccomp}`] },
    });
    assert.equal(stdout, "end\n");
    assert.equal(
      (stderr.match(/(Operation not permitted|permission denied|Permission denied|must be superuser)/g) ?? [])
        .length,
      5,
      stderr,
    );
  }
});
