/**
 * Mount destinations that lead elsewhere, from the start or by a race (CVE-2021-30465, CVE-2019-19921,
 * CVE-2019-16884, CVE-2023-27561, CVE-2023-28642, CVE-2024-45310): nothing is mounted or made outside of the root.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ended } from "../lib/command.ts";
import { attack, type Cell, type Ending } from "./cell.ts";

/** A directory of the host that must stay empty. */
function outsideOf(cell: Cell): { readonly path: string; check(): void } {
  const path = cell.folder();
  return {
    path,
    check: () => assert.deepEqual(readdirSync(path), [], "something was made outside of the root"),
  };
}

/** Swaps `dir` and `link` of a directory without pause, as an attacker with the same volume would. */
async function swapping(cell: Cell, volume: string, body: () => Promise<void>): Promise<void> {
  const swapper: ChildProcess = spawn(join(cell.rootfs(), "probe"), ["swap", "dir", "link"], {
    cwd: volume,
    env: { GANTRY_TEST_DIR: cell.dir },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const end = ended(swapper);
  try {
    await new Promise((resolve) => swapper.stdout?.once("data", resolve));
    await body();
  } finally {
    swapper.kill("SIGKILL");
    await end;
  }
}

attack(
  "CVE-2021-30465: a volume whose directory becomes a link during the start takes no mount out",
  async (cell) => {
    const outside = outsideOf(cell);
    const volume = cell.folder();
    mkdirSync(join(volume, "dir"));
    symlinkSync(outside.path, join(volume, "link"));
    const source = cell.folder();
    writeFileSync(join(source, "file"), "source");
    const rootfs = cell.rootfs();
    mkdirSync(join(rootfs, outside.path), { recursive: true });
    const kinds = new Map<string, number>();
    await swapping(cell, volume, async () => {
      const deadline = performance.now() + 5000;
      for (let round = 0; round < 250 && performance.now() < deadline; round++) {
        const at = `/vol/dir/made-${round}`;
        const ending: Ending = await cell.run(["/bin/cat", "/proc/self/mountinfo"], {
          rootfs,
          change: (config) => {
            const bind = (destination: string, from: string) => ({
              destination,
              type: "bind",
              source: from,
              options: ["rbind"],
            });
            config.mounts = [
              { destination: "/proc", type: "proc", source: "proc" },
              bind("/vol", volume),
              { destination: at, type: "tmpfs", source: "tmpfs" },
              bind(`${at}-b/deep/deeper`, source),
              bind(`${at}-f`, join(source, "file")),
            ];
            // no device nodes: the start is as short as it can be, and the race as hot
            config.linux.maskedPaths = [];
            config.linux.readonlyPaths = [at];
          },
        });
        if (ending.code === 0) {
          const places = ending.stdout
            .trim()
            .split("\n")
            .map((line) => line.split(" ")[4] ?? "");
          for (const place of places) assert.match(place, /^\/($|proc$|dev|vol|tmp\/)/);
          assert.doesNotMatch(ending.stdout, / \/ \/sys/);
        } else
          assert.match(
            ending.pointer,
            /^\/mounts\/[234]\/destination$|^\/linux\/readonlyPaths\/0$/,
            ending.error,
          );
        kinds.set(
          ending.code === 0 ? "started" : ending.op,
          (kinds.get(ending.code === 0 ? "started" : ending.op) ?? 0) + 1,
        );
      }
    });
    outside.check();
    assert.ok([...kinds.values()].reduce((a, b) => a + b, 0) >= 10, "too few rounds to prove anything");
    assert.ok((kinds.get("started") ?? 0) > 0, JSON.stringify([...kinds]));
  },
);

attack("the race is real: making a directory by its path follows the link out", async (cell) => {
  const outside = outsideOf(cell);
  const volume = cell.folder();
  mkdirSync(join(volume, "dir"));
  symlinkSync(outside.path, join(volume, "link"));
  await swapping(cell, volume, async () => {
    const deadline = performance.now() + 8000;
    for (let round = 0; readdirSync(outside.path).length === 0 && performance.now() < deadline; round++) {
      mkdirSync(join(volume, "dir", `made-${round}`), { recursive: true });
      if (round % 50 === 0) await sleep(1);
    }
  });
  assert.notEqual(readdirSync(outside.path).length, 0);
});

attack("CVE-2019-19921, CVE-2023-27561: a link at /proc or /sys of the image is refused", async (cell) => {
  for (const [index, name] of ["proc", "sys"].entries()) {
    const rootfs = cell.rootfs();
    rmSync(join(rootfs, name), { recursive: true });
    mkdirSync(join(rootfs, "elsewhere"));
    symlinkSync("/elsewhere", join(rootfs, name));
    const { code, error, pointer } = await cell.run(["/bin/true"], { rootfs });
    assert.equal(code, undefined);
    assert.equal(pointer, `/mounts/${index === 0 ? 0 : 3}/destination`, error);
    assert.match(error, /symbolic link|ELOOP/i);
    // the attack is real: without that rule it lands where the image wants it
    const { stdout } = await cell.run(["/bin/busybox", "ls", "/elsewhere"], {
      rootfs,
      plan: (plan) => ({
        ...plan,
        child: plan.child.map((step) => (step.op === "attach-mount" ? { ...step, options: 0 } : step)),
      }),
    });
    assert.notEqual(stdout.trim(), "");
  }
});

attack(
  "CVE-2023-27561: links at /dev, /dev/pts, /dev/shm and below lead nowhere but into the root",
  async (cell) => {
    const outside = outsideOf(cell);
    const rootfs = cell.rootfs();
    rmSync(join(rootfs, "dev"), { recursive: true });
    symlinkSync(`../../../../../../..${outside.path}`, join(rootfs, "dev"));
    mkdirSync(join(rootfs, outside.path), { recursive: true });
    const { code, stdout, error } = await cell.run(["/bin/ls", outside.path], { rootfs });
    assert.equal(code, 0, error);
    assert.match(stdout, /^null$/m);
    outside.check();
  },
);

attack("CVE-2019-16884: destinations with links and .. of the image stay in the root", async (cell) => {
  const outside = outsideOf(cell);
  const rootfs = cell.rootfs();
  symlinkSync(outside.path, join(rootfs, "absolute"));
  symlinkSync(`../../../../../../../../..${outside.path}`, join(rootfs, "climbing"));
  symlinkSync("/proc/self/root", join(rootfs, "magic"));
  symlinkSync("/proc/1/cwd", join(rootfs, "cwd"));
  mkdirSync(join(rootfs, outside.path), { recursive: true });
  const up = "../".repeat(12);
  const destinations = [
    "/absolute/a",
    "/climbing/b",
    `/mnt/${up}${outside.path.slice(1)}/c`,
    `/${up}${outside.path.slice(1)}/d`,
    `/magic${outside.path}/e`,
    `/cwd/${up}${outside.path.slice(1)}/f`,
    `/dev/fd/../../../../../..${outside.path}/g`,
  ];
  for (const destination of destinations)
    for (const kind of ["tmpfs", "bind"]) {
      const ending = await cell.run(["/bin/true"], {
        rootfs,
        change: (config) => {
          config.mounts.push({
            destination,
            type: kind,
            source: kind === "bind" ? "/etc" : "tmpfs",
            options: kind === "bind" ? ["bind"] : [],
          });
        },
      });
      // a directory in the place of /dev/fd is no link
      if (ending.code === undefined && ending.op !== "make-symlink-in-root")
        assert.match(ending.pointer, /^\/mounts\/\d+\/(destination|options)$/, ending.error);
      outside.check();
    }
});

attack(
  "CVE-2019-16884, CVE-2023-28642: nothing but proc may be mounted on proc, or inside it",
  async (cell) => {
    const rootfs = cell.rootfs();
    symlinkSync("/proc/self/attr", join(rootfs, "attr"));
    symlinkSync("proc", join(rootfs, "alias"));
    const fake = cell.folder();
    mkdirSync(join(fake, "self/attr"), { recursive: true });
    const file = join(fake, "file");
    writeFileSync(file, "fake");
    const bind = (destination: string, source: string) => ({
      destination,
      type: "bind",
      source,
      options: ["rbind"],
    });
    const tmpfs = (destination: string) => ({ destination, type: "tmpfs", source: "tmpfs" });
    const hostile = [
      bind("/proc", fake),
      bind("/proc/", fake),
      bind("/mnt/../proc", fake),
      bind("/alias", fake),
      tmpfs("/proc"),
      bind("/proc/self/attr", join(fake, "self/attr")),
      bind("/attr", join(fake, "self/attr")),
      bind("/proc/sys", fake),
      bind("/proc/version", file),
      bind("/proc/sys/kernel/core_pattern", file),
      tmpfs("/proc/sys/net"),
      bind("/proc/net/../stat", file),
    ];
    for (const mount of hostile) {
      const { code, error, pointer } = await cell.run(["/bin/true"], {
        rootfs,
        change: (config) => {
          config.mounts.push(mount);
        },
      });
      assert.equal(code, undefined, `${mount.destination} was mounted`);
      assert.match(pointer, /^\/mounts\/\d+\/destination$/, error);
      assert.match(error, /cannot be mounted because it is (inside \/proc|not of type proc)/);
    }
    // what lxcfs replaces stays possible
    const { stdout, error } = await cell.run(["/bin/cat", "/proc/cpuinfo"], {
      change: (config) => {
        config.mounts.push(bind("/proc/cpuinfo", file));
      },
    });
    assert.equal(stdout, "fake", error);
  },
);

attack(
  "CVE-2019-16884: runc refuses the same volumes",
  async (cell) => {
    const fake = cell.folder();
    writeFileSync(join(fake, "file"), "fake");
    for (const destination of ["/proc", "/proc/sys/kernel/core_pattern"]) {
      const { code, stderr } = await cell.runc(["/bin/true"], {
        change: (config) => {
          const source = destination === "/proc" ? fake : join(fake, "file");
          config.mounts.push({ destination, type: "bind", source, options: ["rbind"] });
        },
      });
      assert.equal(code, undefined, stderr);
      assert.match(stderr, /cannot be mounted because it is (inside|not of type)/);
    }
  },
  "runc",
);

attack(
  "CVE-2024-45310: a mount makes no file or directory on the host through a link of the volume",
  async (cell) => {
    const outside = outsideOf(cell);
    const volume = cell.folder();
    symlinkSync(outside.path, join(volume, "link"));
    symlinkSync(join(outside.path, "dangling"), join(volume, "dangling"));
    for (const destination of [
      "/vol/link/new",
      "/vol/dangling",
      "/vol/dangling/deeper",
      "/vol/link/../new",
    ]) {
      for (const source of [cell.folder(), join(cell.rootfs(), "etc/passwd")])
        await cell.run(["/bin/true"], {
          options: { mounts: [{ kind: "bind", source: volume, target: "/vol" }] },
          change: (config) => {
            config.mounts.push({ destination, type: "bind", source, options: ["bind"] });
          },
        });
      outside.check();
      assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(cell.dir), false);
    }
  },
);

attack(
  "links of an image that lead to nothing are made in the root, as images with /var/run -> /run need",
  async (cell) => {
    const outside = outsideOf(cell);
    const rootfs = cell.rootfs();
    mkdirSync(join(rootfs, "var"));
    symlinkSync("/run", join(rootfs, "var/run"));
    symlinkSync("../run/systemd/resolve/stub-resolv.conf", join(rootfs, "etc/resolv.conf"));
    symlinkSync(join(outside.path, "a/b"), join(rootfs, "etc/hosts"));
    symlinkSync("loop-b", join(rootfs, "loop-a"));
    symlinkSync("loop-a", join(rootfs, "loop-b"));
    const file = join(cell.folder(), "file");
    writeFileSync(file, "found\n");
    const mounts = ["/etc/resolv.conf", "/etc/hosts", "/var/run/secrets/token"].map((destination) => ({
      destination,
      type: "bind",
      source: file,
      options: ["bind"],
    }));
    const { stdout, error } = await cell.run(
      ["/bin/cat", "/run/systemd/resolve/stub-resolv.conf", `${outside.path}/a/b`, "/run/secrets/token"],
      {
        rootfs,
        change: (config) => {
          config.mounts.push(...mounts);
        },
      },
    );
    assert.equal(stdout, "found\nfound\nfound\n", error);
    outside.check();
    for (const destination of ["/loop-a", "/loop-a/x"]) {
      const looped = await cell.run(["/bin/true"], {
        rootfs,
        change: (config) => {
          config.mounts.push({ destination, type: "tmpfs", source: "tmpfs" });
        },
      });
      assert.match(looped.pointer, /^\/mounts\/7\/(destination|options)$/, looped.error);
    }
  },
);

attack(
  "a destination two thousand directories deep is made or refused, and exhausts nothing",
  async (cell) => {
    const { code, error, pointer } = await cell.run(["/bin/true"], {
      change: (config) => {
        // on a tmpfs, which takes them all away with it
        for (const destination of ["/mnt", `/mnt/${"d/".repeat(2000)}`])
          config.mounts.push({ destination, type: "tmpfs", source: "tmpfs" });
      },
    });
    if (code !== 0) assert.match(pointer, /^\/mounts\/8\/(destination|options)$/, error);
  },
);
