/** What becomes of cgroups and limits where a user runs a container, beside runc and crun. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { uid } from "../lib/user.ts";
import { hasV1 } from "./own-cgroups.ts";
import { each, failure, noCgroupNamespace, releaseUsers, skip, withBundle } from "./user-bundle.ts";

after(releaseUsers);

const v1Memory = hasV1("memory");
const inGroups = v1Memory ? /:(memory|pids):/ : /^0::/;

each(
  "a container without limits stays in the caller's cgroups",
  `grep -E '${inGroups.source}' /proc/self/cgroup`,
  { linux: { namespaces: noCgroupNamespace } },
  async ({ run }) => {
    const { code, stdout, stderr } = await run();
    assert.equal(code, 0, stderr);
    const own = readFileSync("/proc/self/cgroup", "utf8").split("\n");
    assert.deepEqual(
      stdout.trimEnd().split("\n"),
      own.filter((line) => inGroups.test(line)),
    );
  },
);

each(
  "a limit that cannot be set is refused",
  "true",
  { linux: { resources: { memory: { limit: 1 << 26 } } } },
  async ({ run }) => {
    // the latter is runc's reason on v2, where it fails earlier
    const reasons =
      /cannot set memory limit: container could not join or create cgroup|rootless needs no limits/;
    assert.match(failure(await run()), reasons);
  },
  ["runc", "gantry-oci"],
);

each(
  "a cgroup that was named and cannot be made is refused",
  "true",
  { linux: { cgroupsPath: "/gantrytest-nobody/x" } },
  async ({ run }) => {
    assert.match(failure(await run()), /unable to apply cgroup configuration: mkdir .*permission denied/);
  },
  ["runc", "gantry-oci"],
);

each(
  "--rootless false makes every refusal fatal",
  "true",
  {},
  async ({ verb, path, id }) => {
    assert.match(
      failure(await verb(["--rootless", "false", "run", "--bundle", path, id])),
      /permission denied/i,
    );
  },
  ["runc", "gantry-oci"],
);

// crun 1.8 leaves a user's container where it is, on v1
for (const name of ["runc", "gantry-oci"] as const)
  test(`${name}, as a user: limits stand in the cgroups that were delegated`, {
    skip: skip || needs("/sys/fs/cgroup/memory/cgroup.procs"),
  }, async () => {
    const groups = ["memory", "pids"].map(
      (controller) => `/sys/fs/cgroup/${controller}/gantrytest-delegated-${name}-${process.pid}`,
    );
    for (const group of groups) {
      mkdirSync(group);
      await must(["chown", "-R", `${uid}:${uid}`, group]);
    }
    try {
      const resources = { memory: { limit: 1 << 26 }, pids: { limit: 77 } };
      await withBundle(
        name,
        "exec sleep 100",
        { linux: { resources, namespaces: noCgroupNamespace } },
        async ({ verb, path, id }) => {
          const made = await verb(["run", "--detach", "--bundle", path, id], { groups });
          assert.equal(made.code, 0, made.stderr);
          const { pid } = JSON.parse((await verb(["state", id])).stdout) as { pid: number };
          const own = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
          const place = (controller: string) =>
            own.find((line) => line.split(":")[1] === controller)!.split(":")[2]!;
          const read = (controller: string, file: string) =>
            readFileSync(join("/sys/fs/cgroup", controller, place(controller), file), "utf8").trim();
          assert.equal(read("memory", "memory.limit_in_bytes"), String(1 << 26));
          assert.equal(read("pids", "pids.max"), "77");
          const joined = await verb(["exec", id, "cat", "/proc/self/cgroup"], { groups });
          assert.match(joined.stdout, new RegExp(`:memory:${place("memory")}$`, "m"), joined.stderr);
          assert.equal((await verb(["delete", "--force", id])).code, 0);
          for (const group of groups)
            assert.deepEqual(
              readdirSync(group).filter((entry) => entry.includes(id)),
              [],
            );
        },
      );
    } finally {
      for (const group of groups) rmdirSync(group);
    }
  });

const unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
  existsSync(`${path}/cgroup.controllers`),
);

test("gantry-oci, as a user: a v2 cgroup is made beside the caller's where that was delegated", {
  skip: skip || (unified ? false : "no v2 hierarchy"),
}, async () => {
  const name = `gantrytest-delegated-v2-${process.pid}`;
  const group = join(unified!, name);
  const caller = join(group, "caller");
  mkdirSync(caller, { recursive: true });
  await must(["chown", "-R", `${uid}:${uid}`, group]);
  try {
    const patch = { linux: { namespaces: noCgroupNamespace } };
    await withBundle("gantry-oci", "grep '^0:' /proc/self/cgroup", patch, async ({ run, id }) => {
      const { code, stdout, stderr } = await run({ groups: [caller] });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, `0::/${name}/${id}\n`);
      assert.deepEqual(
        readdirSync(group).filter((entry) => entry === id),
        [],
      );
    });
  } finally {
    for (const path of [caller, group]) rmdirSync(path);
  }
});
