/**
 * Ways out through control groups (CVE-2022-0492, CVE-2021-43784, CVE-2023-25809): the container sees its own
 * groups only, read-only, and can neither remount them nor set a release agent.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { attack, type RawConfig } from "./cell.ts";

const mount = "/sys/fs/cgroup";
const hierarchies = () =>
  readdirSync(mount, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

attack(
  "CVE-2022-0492: no file of a control group can be written, and no hierarchy be mounted",
  async (cell) => {
    const script = [
      `for f in $(find ${mount} -name release_agent -o -name notify_on_release -o -name cgroup.procs -o -name memory.limit_in_bytes -o -name devices.allow -o -name cgroup.kill); do { echo 1 > $f; } 2>/dev/null && echo "wrote $f"; done`,
      `mkdir ${mount}/memory/child 2>/dev/null && echo made`,
      `mount -o remount,rw ${mount}/memory 2>/dev/null && echo remounted`,
      `mount -o remount,bind,rw ${mount} 2>/dev/null && echo remounted`,
      "mount -t cgroup -o memory x /mnt 2>/dev/null && echo mounted",
      "mount -t cgroup2 x /mnt 2>/dev/null && echo mounted",
      `find ${mount} -name release_agent`,
      "echo end",
    ].join("\n");
    for (const securityOpt of [[], ["seccomp=unconfined"]]) {
      const { stdout, error } = await cell.run(["/bin/sh", "-c", script], { options: { securityOpt } });
      assert.equal(stdout, "end\n", error);
    }
  },
);

attack("CVE-2022-0492: the root of every control group is the container's own", async (cell) => {
  const { stdout } = await cell.run([
    "/bin/sh",
    "-c",
    `cat /proc/self/cgroup; cat ${mount}/*/cgroup.procs | sort -n | head -n 1`,
  ]);
  const lines = stdout.trim().split("\n");
  assert.equal(lines.pop(), "1", "process 1 is the first that they name");
  for (const line of lines) assert.match(line, /:\/$/);
});

attack("without a cgroup namespace too only the own groups are shown, read-only", async (cell) => {
  const { stdout, error } = await cell.run(
    [
      "/bin/sh",
      "-c",
      `find ${mount} -mindepth 2 -maxdepth 2 -type d; for f in ${mount}/*/cgroup.procs; do echo 1 > $f; done; echo end`,
    ],
    { options: { cgroupNamespace: "host" } },
  );
  assert.equal(stdout, "end\n", error);
});

attack("CVE-2023-25809: in a user namespace the groups are read-only as well", async (cell) => {
  const mappings = [{ containerID: 0, hostID: 300_000, size: 65_536 }];
  const { stdout, error } = await cell.run(
    [
      "/bin/sh",
      "-c",
      `for f in $(find ${mount} -type f); do { echo 1 > $f; } 2>/dev/null && echo "wrote $f"; done; echo end`,
    ],
    { options: { userNamespace: { uidMappings: mappings, gidMappings: mappings } } },
  );
  assert.equal(stdout, "end\n", error);
});

attack("a path with .. or without a name never leaves the place that it is for", async (cell) => {
  const places = (id: string) => [
    [`/../../${id}`, `/${id}`],
    [`/a/../${id}`, `/${id}`],
    [`../../../${id}`, id],
    [`./${id}`, id],
  ];
  for (const index of [0, 1, 2, 3]) {
    let asked = "";
    let expected = "";
    const { stdout, error } = await cell.run(["/bin/cat", "/proc/self/cgroup"], {
      options: { cgroupNamespace: "host" },
      change: (config) => {
        [asked, expected] = places(config.linux.cgroupsPath.slice(1))[index] as [string, string];
        config.linux.cgroupsPath = asked;
      },
    });
    // a hierarchy that is mounted nowhere has no group of ours
    for (const line of stdout.split("\n").filter((text) => /:(pids|memory|devices)?:/.test(text)))
      assert.ok(line.endsWith(expected) && !line.includes(".."), `${asked}: ${line} ${error}`);
  }
  for (const path of ["/", "//", "/..", "/../..", "/a/..", "/.", "/x\0y"]) {
    const { code, pointer, error } = await cell.run(["/bin/true"], {
      change: (config) => {
        config.linux.cgroupsPath = path;
      },
    });
    assert.equal(code, undefined, path);
    assert.equal(pointer, "/linux/cgroupsPath", error);
  }
});

attack(
  "a name too long for a directory is refused; it does not put the container into its parent",
  async (cell) => {
    for (const long of [
      `/${"x".repeat(256)}`,
      `/${cell.name}-parent/${"x".repeat(300)}`,
      `/${cell.name}-parent/${"x".repeat(300)}/${cell.name}`,
    ]) {
      let config: RawConfig = {};
      const { code, pointer, error } = await cell.run(["/bin/true"], {
        options: { pidsLimit: 7 },
        change: (raw) => {
          raw.linux.cgroupsPath = long;
          config = raw;
        },
      });
      assert.equal(code, undefined, config.linux.cgroupsPath.slice(0, 50));
      assert.equal(pointer, "/linux/cgroupsPath", error);
      for (const name of hierarchies())
        assert.equal(existsSync(join(mount, name, `${cell.name}-parent`)), false);
    }
    assert.notEqual(readFileSync(join(mount, "pids/cgroup.procs"), "utf8"), "");
  },
);

attack("unified values with a path in the name of the file are refused", async (cell) => {
  for (const key of [
    "../memory.max",
    "memory.max/../../x",
    "/memory.max",
    "",
    "cgroup.procs",
    "cgroup.subtree_control",
    "memory",
  ]) {
    const { code, pointer, error } = await cell.run(["/bin/true"], {
      change: (config) => {
        config.linux.resources = { ...config.linux.resources, unified: { [key]: "1" } };
      },
    });
    assert.equal(code, undefined, key);
    assert.match(pointer, /^\/linux\/resources\/unified/, `${key}: ${error}`);
  }
});
