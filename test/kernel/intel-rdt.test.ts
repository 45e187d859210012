/**
 * linux.intelRdt. Few machines have resctrl, so a folder stands in for it: the runtime finds its mounts in
 * /proc/self/mountinfo, over which a file with one line more is bound in a mount namespace of the test's own. A folder
 * of files shows what is written; a cgroup shows joining and leaving, since the kernel makes and checks `tasks` there.
 */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { type Bundle, containerId, type Json, type Runtime, unready, withBundle } from "./bundle.ts";

const freezer = "/sys/fs/cgroup/freezer";
const skip = unready || needs("unshare", "/bin/bash");
const withCgroup = skip || needs(`${freezer}/tasks`);
/** Debian's runc asks /proc/cpuinfo for the feature as well. */
const withoutReference = "gantry-oci";

/** Calls the runtime where `resctrl` is mounted as far as it can see, and the freezer is not. */
async function call(runtime: Runtime, bundle: Bundle, resctrl: string, ...args: readonly string[]) {
  const mountinfo = join(bundle.files, "mountinfo");
  const lines = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => !line.includes(` ${freezer} `));
  writeFileSync(mountinfo, `${lines.join("\n")}9999 1 0:99 / ${resctrl} rw - resctrl resctrl rw\n`);
  // the command starts the program that lies beside it: that one's mountinfo is the one that counts
  const bin = join(bundle.files, "bin");
  mkdirSync(bin, { recursive: true });
  copyFileSync(runtime.program, join(bin, "gantry-oci"));
  const real = join(dirname(runtime.program), "gantry-program");
  const script = `#!/bin/bash\nmount --bind ${mountinfo} /proc/$$/mountinfo && exec -a gantry-oci ${real} "$@"\n`;
  writeFileSync(join(bin, "gantry-program"), script, { mode: 0o755 });
  const argv = ["unshare", "-m", join(bin, "gantry-oci"), "--root", runtime.root, ...args];
  return await command(argv, { timeoutMs: 30_000 });
}

/** A folder with the files of a group. */
function makeGroup(path: string): string {
  mkdirSync(join(path, "mon_groups"), { recursive: true });
  for (const file of ["schemata", "tasks"]) writeFileSync(join(path, file), "");
  return path;
}

const read = (...path: readonly string[]) => readFileSync(join(...path), "utf8");

async function runWith(
  intelRdt: Json,
  prepare: (resctrl: string) => void,
  check: (resctrl: string, outcome: { code: number; stdout: string; stderr: string }) => void,
): Promise<void> {
  await withBundle(withoutReference, "echo ran", { linux: { intelRdt } }, async (runtime, bundle) => {
    const resctrl = makeGroup(join(bundle.files, "resctrl"));
    prepare(resctrl);
    check(resctrl, await call(runtime, bundle, resctrl, "run", "--bundle", bundle.path, containerId()));
  });
}

test("the schemata of a class are those of cache, memory and the free lines, in this order", { skip }, () =>
  runWith(
    {
      closID: "gold",
      l3CacheSchema: "L3:0=ff\nMB:0=10",
      memBwSchema: "MB:0=20",
      schemata: ["L2:0=f", "L3CODE:0=1"],
    },
    (resctrl) => makeGroup(join(resctrl, "gold")),
    (resctrl, { code, stderr }) => {
      assert.equal(code, 0, stderr);
      assert.equal(read(resctrl, "gold/schemata"), "L3:0=ff\nMB:0=20\nL2:0=f\nL3CODE:0=1\n");
      assert.match(read(resctrl, "gold/tasks"), /^\d+$/);
      assert.equal(read(resctrl, "tasks"), "");
    },
  ),
);

test("the class / is the root group", { skip }, () =>
  runWith(
    { closID: "/", memBwSchema: "MB:0=20" },
    () => {},
    (resctrl, { code, stderr }) => {
      assert.equal(code, 0, stderr);
      assert.equal(read(resctrl, "schemata"), "MB:0=20\n");
      assert.match(read(resctrl, "tasks"), /^\d+$/);
    },
  ),
);

test("a class that is only named is joined, and nothing is written to its schemata", { skip }, () =>
  runWith(
    { closID: "gold" },
    (resctrl) => makeGroup(join(resctrl, "gold")),
    (resctrl, { code, stderr }) => {
      assert.equal(code, 0, stderr);
      assert.equal(read(resctrl, "gold/schemata"), "");
      assert.match(read(resctrl, "gold/tasks"), /^\d+$/);
    },
  ),
);

test("a class that is only named and not there is an error", { skip }, () =>
  runWith(
    { closID: "gold" },
    () => {},
    (resctrl, { code, stdout, stderr }) => {
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(stderr, /unable to apply Intel RDT configuration: .*\/gold: no such file/);
      assert.ok(!existsSync(join(resctrl, "gold")));
    },
  ),
);

for (const closID of ["a/b", "..", "a\nb"])
  test(`the class ${JSON.stringify(closID)} is refused`, { skip }, () =>
    runWith(
      { closID },
      () => {},
      (_resctrl, { code, stderr }) => {
        assert.equal(code, 1);
        assert.match(stderr, /\/linux\/intelRdt\/closID: invalid intelRdt.ClosID/);
      },
    ),
  );

test("a line of schemata with a line end in it is refused", { skip }, () =>
  runWith(
    { schemata: ["L3:0=f\nMB:0=1"] },
    () => {},
    (_resctrl, { stderr }) => assert.match(stderr, /\/linux\/intelRdt\/schemata\/0: .*is not one line/),
  ),
);

test("intelRdt on a machine without resctrl is an error", { skip }, () =>
  withBundle(withoutReference, "echo ran", { linux: { intelRdt: {} } }, async (runtime, bundle) => {
    const { code, stdout, stderr } = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
    if (readFileSync("/proc/self/mountinfo", "utf8").includes(" - resctrl ")) return;
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /intelRdt is specified in config, but Intel RDT is not enabled/);
  }),
);

/** A cgroup of the freezer as resctrl: directories get `tasks` from the kernel and go with rmdir. */
async function withKernelGroup(body: (resctrl: string, name: string) => Promise<void>): Promise<void> {
  const name = `gantrytest-resctrl-${process.pid}`;
  const resctrl = join(freezer, name);
  mkdirSync(join(resctrl, "mon_groups"), { recursive: true });
  try {
    await body(resctrl, name);
  } finally {
    rmdirSync(join(resctrl, "mon_groups"));
    rmdirSync(resctrl);
  }
}

const show = "grep freezer /proc/self/cgroup | cut -d: -f3";

test("a class without a name is the container's own and goes with it", { skip: withCgroup }, () =>
  withKernelGroup((resctrl, name) =>
    withBundle(withoutReference, show, { linux: { intelRdt: {} } }, async (runtime, bundle) => {
      const id = containerId();
      const ran = await call(runtime, bundle, resctrl, "run", "--bundle", bundle.path, id);
      assert.equal(ran.stdout, `/${name}/${id}\n`, ran.stderr);
      assert.ok(!existsSync(join(resctrl, id)));

      const created = await call(runtime, bundle, resctrl, "create", "--bundle", bundle.path, id);
      assert.equal(created.code, 0, created.stderr);
      assert.match(read(resctrl, id, "tasks"), /^\d+\n$/);
      assert.equal((await call(runtime, bundle, resctrl, "delete", "--force", id)).code, 0);
      assert.ok(!existsSync(join(resctrl, id)), "left after delete");
    }),
  ),
);

test(
  "monitoring has a group of its own below the class, which goes with the container",
  {
    skip: withCgroup,
  },
  () =>
    withKernelGroup((resctrl, name) =>
      withBundle(
        withoutReference,
        show,
        { linux: { intelRdt: { closID: "/", enableMonitoring: true } } },
        async (runtime, bundle) => {
          const id = containerId();
          const ran = await call(runtime, bundle, resctrl, "run", "--bundle", bundle.path, id);
          assert.equal(ran.stdout, `/${name}/mon_groups/${id}\n`, ran.stderr);
          assert.ok(!existsSync(join(resctrl, "mon_groups", id)));
        },
      ),
    ),
);

test("a start that fails leaves no class behind", { skip: withCgroup }, () =>
  withKernelGroup((resctrl) =>
    withBundle(
      withoutReference,
      "",
      { process: { args: ["/no/such"] }, linux: { intelRdt: {} } },
      async (runtime, bundle) => {
        const id = containerId();
        const { code } = await call(runtime, bundle, resctrl, "run", "--bundle", bundle.path, id);
        assert.equal(code, 1);
        assert.ok(!existsSync(join(resctrl, id)));
      },
    ),
  ),
);

test("update writes the schemata of the container's group, and tells of a group that is gone", { skip }, () =>
  withBundle(
    withoutReference,
    "exec sleep 100",
    { linux: { intelRdt: { closID: "gold", l3CacheSchema: "L3:0=ff" } } },
    async (runtime, bundle) => {
      const resctrl = makeGroup(join(bundle.files, "resctrl"));
      makeGroup(join(resctrl, "gold"));
      const id = containerId();
      const gantry = (...args: readonly string[]) => call(runtime, bundle, resctrl, ...args);
      const created = await gantry("create", "--bundle", bundle.path, id);
      assert.equal(created.code, 0, created.stderr);
      try {
        const update = (...flags: readonly string[]) => gantry("update", ...flags, id);
        const missing = await update("--mem-bw-schema", "MB:0=20");
        assert.match(missing.stderr, /Intel RDT\/MBA: memory bandwidth schema is not enabled/);
        for (const folder of ["L3", "MB"]) mkdirSync(join(resctrl, "info", folder), { recursive: true });
        const done = await update("--l3-cache-schema", "L3:0=0f", "--mem-bw-schema", "MB:0=20");
        assert.equal(done.code, 0, done.stderr);
        assert.match(read(resctrl, "gold/schemata"), /^L3:0=0f\nMB:0=20\n/);
        // a group that is gone is told of
        rmSync(join(resctrl, "gold"), { recursive: true });
        const gone = await update("--l3-cache-schema", "L3:0=0f");
        assert.match(gone.stderr, /read schemata .*gold\/schemata.*no such file/);
      } finally {
        await gantry("delete", "--force", id);
      }
    },
  ),
);

test("update refuses schemata for a container that has no group", { skip }, () =>
  withBundle(withoutReference, "exec sleep 100", {}, async (runtime, bundle) => {
    const resctrl = makeGroup(join(bundle.files, "resctrl"));
    mkdirSync(join(resctrl, "info/L3"), { recursive: true });
    const id = containerId();
    const gantry = (...args: readonly string[]) => call(runtime, bundle, resctrl, ...args);
    assert.equal((await gantry("create", "--bundle", bundle.path, id)).code, 0);
    try {
      const { code, stderr } = await gantry("update", "--l3-cache-schema", "L3:0=0f", id);
      assert.equal(code, 1);
      assert.match(stderr, /made without linux.intelRdt/);
    } finally {
      await gantry("delete", "--force", id);
    }
  }),
);
