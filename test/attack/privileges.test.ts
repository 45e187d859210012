/**
 * Capabilities, groups and ids of the program (CVE-2022-24769, CVE-2022-27649, CVE-2022-27650, CVE-2022-27651,
 * CVE-2022-29162, CVE-2022-2989, CVE-2022-2990, CVE-2022-2995, CVE-2022-36109, CVE-2023-25173, CVE-2016-3697,
 * CVE-2024-40635, CVE-2026-46680).
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveUser } from "../../src/bundle/user.ts";
import { encodePlan } from "../../src/plan/encode.ts";
import { command } from "../lib/command.ts";
import { attack, type Cell, type RunOptions, without } from "./cell.ts";

/** Docker's fourteen default capabilities, as a mask. */
const defaults = "00000000a80425fb";
const none = "0000000000000000";

/** Fields of the program's own /proc/self/status. */
async function status(cell: Cell, given: RunOptions = {}): Promise<Record<string, string>> {
  const { stdout, error } = await cell.run(["/bin/cat", "/proc/self/status"], given);
  assert.notEqual(stdout, "", error);
  return Object.fromEntries(
    stdout.split("\n").map((line) => line.split(":").map((part) => part.trim()) as [string, string]),
  );
}

const user = { uid: 1000, gid: 1000, additionalGids: [1000] };

attack(
  "CVE-2022-24769, CVE-2022-27649, CVE-2022-29162: no default container has inheritable or ambient capabilities",
  async (cell) => {
    const root = await status(cell);
    assert.deepEqual(
      [root.CapInh, root.CapPrm, root.CapEff, root.CapBnd, root.CapAmb],
      [none, defaults, defaults, defaults, none],
    );
    const other = await status(cell, { user });
    assert.deepEqual(
      [other.CapInh, other.CapPrm, other.CapEff, other.CapBnd, other.CapAmb],
      [none, none, none, defaults, none],
    );
    const all = await status(cell, { options: { privileged: true } });
    assert.deepEqual([all.CapInh, all.CapAmb], [none, none]);
    const dropped = await status(cell, { options: { capDrop: ["ALL"] } });
    assert.deepEqual(
      [dropped.CapInh, dropped.CapPrm, dropped.CapEff, dropped.CapBnd, dropped.CapAmb],
      [none, none, none, none, none],
    );
  },
);

attack("CVE-2022-27650: the caller's own inheritable set does not go through", async (cell) => {
  // a config without capabilities leaves none, whatever the runtime was started with
  const bare = await status(cell, {
    change: (config) => {
      config.process.capabilities = undefined;
    },
  });
  assert.deepEqual(
    [bare.CapInh, bare.CapPrm, bare.CapEff, bare.CapBnd, bare.CapAmb],
    [none, none, none, none, none],
  );
});

attack(
  "no_new_privs keeps a setuid program from raising privileges, and without it the bounding set does",
  async (cell) => {
    const rootfs = cell.rootfs();
    copyFileSync(join(rootfs, "probe"), join(rootfs, "bin/suid"));
    chmodSync(join(rootfs, "bin/suid"), 0o4755);
    const args = ["/bin/suid", "whoami"];
    const raised = await cell.run(args, { rootfs, user });
    assert.match(raised.stdout, /^uid 0 /, "the attack is real");
    const kept = await cell.run(args, { rootfs, user, options: { securityOpt: ["no-new-privileges"] } });
    assert.match(kept.stdout, /^uid 1000 /);
    const caps = await cell.run(args, {
      rootfs,
      user,
      options: { capDrop: ["ALL"] },
    });
    assert.match(caps.stdout, /^CapEff:\t0000000000000000$/m);
  },
);

attack(
  "CVE-2022-2989, CVE-2022-36109, CVE-2023-25173: nobody loses a group that denies them something",
  async (cell) => {
    const rootfs = cell.rootfs();
    // members of group 1000 may not read it, everybody else may
    writeFileSync(join(rootfs, "secret"), "secret");
    chownSync(join(rootfs, "secret"), 0, 1000);
    chmodSync(join(rootfs, "secret"), 0o604);
    copyFileSync(join(rootfs, "probe"), join(rootfs, "bin/sgid"));
    chownSync(join(rootfs, "bin/sgid"), 0, 2000);
    chmodSync(join(rootfs, "bin/sgid"), 0o2755);
    const args = ["/bin/sgid", "whoami", "/secret"];
    for (const spec of ["user", "1000", "1000:1000", "user:user"]) {
      const resolved = resolveUser(
        spec,
        readFileSync(join(rootfs, "etc/passwd"), "utf8"),
        readFileSync(join(rootfs, "etc/group"), "utf8"),
      );
      const { stdout } = await cell.run(args, { rootfs, user: resolved });
      assert.match(stdout, /^uid 1000 gid 2000\n.*\nread: EACCES$/m, spec);
    }
    // the attack is real: the group is only the primary one, and the setgid program takes it away
    const { stdout } = await cell.run(args, { rootfs, user: { uid: 1000, gid: 1000, additionalGids: [] } });
    assert.match(stdout, /^read: ok$/m);
  },
);

attack("CVE-2022-2995: the groups of who starts a container do not go into it", async (cell) => {
  for (const additionalGids of [[], [5], [5, 1000, 4_294_967_294]]) {
    const { Groups } = await status(cell, { user: { uid: 1000, gid: 1000, additionalGids } });
    assert.equal(Groups, [...additionalGids].sort((a, b) => a - b).join(" "));
  }
});

attack(
  "CVE-2024-40635, CVE-2026-46680: ids that do not fit are refused, none becomes root by being cut",
  async (cell) => {
    const places = ["uid", "gid"] as const;
    for (const place of places)
      for (const id of [
        -1,
        -2,
        2 ** 32 - 1,
        2 ** 32,
        2 ** 32 + 1,
        2 ** 64,
        1e30,
        0.5,
        "0",
        true,
        Number.NaN,
      ]) {
        const { code, pointer, error } = await cell.run(["/bin/id", "-u"], {
          change: (config) => {
            config.process.user[place] = id;
          },
        });
        // NaN is null in JSON, which is an absent member
        if (Number.isNaN(id)) assert.equal(code, 0);
        else {
          assert.equal(code, undefined, String(id));
          assert.equal(pointer, `/process/user/${place}`, error);
        }
      }
    const groups = await cell.run(["/bin/true"], {
      change: (config) => {
        config.process.user.additionalGids = [0, 2 ** 32];
      },
    });
    assert.equal(groups.pointer, "/process/user/additionalGids/1");
    for (const spec of [
      "4294967296",
      "4294967296:0",
      "0:4294967296",
      "2147483648",
      "99999999999999999999",
      "-1",
      "0x0",
      " 0",
      "+0",
      "1e0",
    ])
      assert.throws(
        () => resolveUser(spec, "root:x:0:0:root:/root:/bin/sh\n", "root:x:0:\n"),
        /range|unable to find/,
        spec,
      );
  },
);

attack("CVE-2016-3697: a number is a number, also where a user has it for a name", async (cell) => {
  const passwd = "1000:x:0:0::/root:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\n";
  const user = resolveUser("1000", passwd, "1000:x:0:\nroot:x:0:\n");
  assert.equal(user.uid, 1000);
  const rootfs = cell.rootfs();
  writeFileSync(join(rootfs, "etc/passwd"), passwd);
  assert.equal((await cell.run(["/bin/id", "-u"], { rootfs, user })).stdout, "1000\n");
  assert.equal(resolveUser("1000:1000", passwd, "1000:x:0:\n").gid, 1000);
});

attack("CVE-2025-47291: a user namespace that is asked for is really there", async (cell) => {
  const mappings = [{ containerID: 0, hostID: 300_000, size: 65_536 }];
  const volume = cell.folder();
  chmodSync(volume, 0o777);
  const options = {
    userNamespace: { uidMappings: mappings, gidMappings: mappings },
    mounts: [{ kind: "bind" as const, source: volume, target: "/mnt" }],
  };
  const { stdout, error } = await cell.run(
    ["/bin/sh", "-c", "id -u; cat /proc/self/uid_map; echo x > /mnt/made"],
    { options },
  );
  assert.equal(error, "");
  assert.match(stdout, /^0\n\s+0\s+300000\s+65536\n$/);
  assert.equal(statSync(join(volume, "made")).uid, 300_000);
});

attack(
  "CVE-2025-47291: a user namespace that cannot be made as asked is refused, never left out",
  async (cell) => {
    const map = (containerID: number, hostID: number, size: number) => [{ containerID, hostID, size }];
    const good = map(0, 300_000, 1000);
    const cases: readonly (readonly [string, unknown, unknown, boolean])[] = [
      ["/linux/uidMappings", good, good, false],
      ["/linux/uidMappings", [], good, true],
      ["/linux/gidMappings", good, [], true],
      ["/linux/uidMappings", undefined, undefined, true],
      ["/linux/uidMappings", map(0, 0, 0), good, true],
      ["/linux/uidMappings", map(0, 2 ** 32 - 1, 2), good, true],
      ["/linux/uidMappings", [...good, ...good], good, true],
      ["/process/user/uid", map(1, 300_000, 10), good, true],
      ["/linux/uidMappings/0/hostID", map(0, -1, 1), good, true],
      ["/linux/uidMappings/0/size", map(0, 0, 2 ** 33), good, true],
      [
        "/linux/uidMappings",
        Array.from({ length: 341 }, (_, i) => ({ containerID: i, hostID: i, size: 1 })),
        good,
        true,
      ],
    ];
    for (const [place, uidMappings, gidMappings, own] of cases) {
      const { code, pointer, error } = await cell.run(["/bin/true"], {
        change: (config) => {
          config.linux.uidMappings = uidMappings;
          config.linux.gidMappings = gidMappings;
          if (own) config.linux.namespaces.push({ type: "user" });
        },
      });
      assert.equal(code, undefined, place);
      // user 0 without a mapping is as good a reason
      assert.ok([place, "/process/user/uid", "/process/user/gid"].includes(pointer), error);
    }
  },
);

attack("a namespace path that is no namespace, or one of another kind, is refused", async (cell) => {
  const paths = [
    "/proc/self/ns/uts",
    "/etc/passwd",
    "/dev/null",
    "/proc/self/ns",
    "/nowhere",
    "/proc/self/fd/0",
    "/dev/zero",
  ];
  for (const path of paths) {
    const { code, pointer, error } = await cell.run(["/bin/true"], {
      change: (config) => {
        const ipc = config.linux.namespaces.find(({ type }: { type: string }) => type === "ipc");
        ipc.path = path;
      },
    });
    assert.equal(code, undefined, path);
    assert.match(pointer, /^\/linux\/namespaces\/\d+\/path$/, error);
  }
});

attack(
  "the mount namespace of the runtime itself cannot be joined: its root would be replaced",
  async (cell) => {
    const plan = cell.compile(["/bin/true"], {
      change: (config) => {
        const mounts = config.linux.namespaces.find(({ type }: { type: string }) => type === "mount");
        mounts.path = "/proc/self/ns/mnt";
      },
    });
    const file = join(cell.folder(), "plan");
    writeFileSync(file, encodePlan(without("report")(plan)));
    // in a namespace to throw away: were it not refused, that one would be harmed and not the machine's
    const inner = `mount -t tmpfs canary /mnt; ${cell.executor} plan 3 3< ${file}; echo "status $?"; grep -c ' /mnt .*canary' /proc/self/mountinfo`;
    const outcome = await command(
      ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", inner],
      {
        env: { GANTRY_TEST_DIR: cell.dir },
      },
    );
    assert.equal(outcome.stdout, "status 1\n1\n", outcome.stderr);
    assert.match(outcome.stderr, /is the mount namespace of this process/);
  },
  "unshare",
);
