/** pause, update, ps and events on a pure cgroup v2 tree, in a virtual machine, with runc and crun beside ours. */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { command } from "../lib/command.ts";
import { needs, programPath } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootMachine, type Machine, machineMissing } from "../vm/machine.ts";
import { type Json, merge } from "./bundle.ts";

const skip = machineMissing() || needs("root", "runc", "crun", gantryOciProgram);
const runtimes = ["gantry-oci", "runc", "crun"] as const;
const options = { skip, timeout: 180_000 };
const MB = 1 << 20;
let vm: Machine;

before(async () => {
  if (skip) return;
  const programs = ["runc", "crun"].map((name) => [`/bin/${name}`, programPath(name)!] as const);
  const libraries = await Promise.all(
    [gantryOciProgram, ...programs.map(([, path]) => path)].map(librariesOf),
  );
  vm = await bootMachine({ files: Object.fromEntries([...programs, ...libraries.flat()]) });
  const { code, stderr } = await vm.run(library, { timeoutMs: 60_000 });
  assert.equal(code, 0, stderr);
});
after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

async function librariesOf(program: string): Promise<(readonly [string, string])[]> {
  const { stdout } = await command(["ldd", program]);
  return [...stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map((match) => [match[1]!, match[1]!] as const);
}

/** Shell functions for the scripts of the tests. */
const library = `
mkdir -p /tmp/rootfs && tar -C /tmp/rootfs -xf /opt/busybox.tar
cat > /tmp/lib <<'LIB'
G=/sys/fs/cgroup/pods/one
rt() { $RT --root /run/$RT "$@"; }
# rt's container "c", detached; its config comes on stdin
begin() {
	rm -rf /tmp/b && mkdir /tmp/b && cat > /tmp/b/config.json
	rm -f /tmp/rootfs/go /tmp/rootfs/up /tmp/rootfs/beat /tmp/rootfs/refused
	rt run --detach --bundle /tmp/b c < /dev/null > /tmp/out 2>&1 || { cat /tmp/out >&2; exit 1; }
}
status() { rt state c | grep '"status"' | cut -d'"' -f4; }
stopped() { n=0; until [ "$(status)" = stopped ]; do n=$((n + 1)); [ $n -gt 400 ] && echo "does not stop" && exit 1; sleep 0.05; done; }
say() { for file in "$@"; do echo "$file $(cat $G/$file)"; done; }
LIB`;

const base: Json = {
  ociVersion: "1.0.2",
  root: { path: "/tmp/rootfs" },
  process: { cwd: "/", args: ["sleep", "1000"], env: ["PATH=/bin"], user: { uid: 0, gid: 0 } },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs" },
  ],
  linux: {
    namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
    cgroupsPath: "/pods/one",
    resources: { devices: [{ allow: false, access: "rwm" }] },
  },
};

/** Begins a container, runs `script` beside it, and ends it; what the script printed, line by line. */
async function beside(runtime: string, patch: Json, script: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await vm.run(
    `RT=${runtime}; . /tmp/lib
begin <<'CONFIG'
${JSON.stringify(merge(base, patch))}
CONFIG
trap 'rt delete --force c > /dev/null 2>&1; [ ! -e $G ] || echo "left: $G"' EXIT
${script}`,
    { timeoutMs: 120_000 },
  );
  assert.equal(code, 0, `${runtime}: ${stderr}${stdout}`);
  return stdout.trim().split("\n");
}

for (const runtime of runtimes) {
  test(`${runtime} on v2: pause freezes, resume thaws, SIGKILL ends what is frozen`, options, async () => {
    const lines = await beside(
      runtime,
      {},
      `rt pause c; status; grep frozen $G/cgroup.events; cat $G/cgroup.freeze
       rt resume c; status; grep frozen $G/cgroup.events
       rt pause c; rt kill c KILL; stopped; rt delete c; ls -d $G 2>&1 | grep -c 'No such'`,
    );
    assert.deepEqual(lines, ["paused", "frozen 1", "1", "running", "frozen 0", "1"]);
  });

  test(`${runtime} on v2: an update stands in the files, and what is not named stays`, options, async () => {
    const resources = {
      memory: { limit: 64 * MB, swap: 128 * MB },
      cpu: { quota: 20_000, period: 50_000, shares: 1024 },
      pids: { limit: 20 },
    };
    const more = { memory: { limit: 100 * MB, swap: 120 * MB, reservation: 10 * MB }, pids: { limit: 20 } };
    const lines = await beside(
      runtime,
      { linux: { resources } },
      `echo '${JSON.stringify(more)}' > /tmp/more; rt update --resources /tmp/more c
       say memory.max memory.swap.max memory.low cpu.max
       rt update --cpu-quota 10000 --cpu-period 40000 --pids-limit 30 c; say cpu.max pids.max
       rt update --memory ${32 * MB} --memory-swap ${32 * MB} --pids-limit 30 c; say memory.max memory.swap.max pids.max
       rt update --memory ${90 * MB} --memory-swap ${200 * MB} --pids-limit 30 --cpuset-cpus 0 c
       say memory.max memory.swap.max cpuset.cpus`,
    );
    assert.deepEqual(lines, [
      `memory.max ${100 * MB}`,
      `memory.swap.max ${20 * MB}`,
      `memory.low ${10 * MB}`,
      "cpu.max 20000 50000",
      "cpu.max 10000 40000",
      "pids.max 30",
      `memory.max ${32 * MB}`,
      "memory.swap.max 0",
      "pids.max 30",
      `memory.max ${90 * MB}`,
      `memory.swap.max ${110 * MB}`,
      "cpuset.cpus 0",
    ]);
  });
}

test("resources of a new container stand in the files of v2, raw entries last", options, async () => {
  const [device = ""] = (await vm.run("cat /sys/block/vda/dev")).stdout.trim().split("\n");
  const [major, minor] = device.split(":").map(Number);
  const resources = {
    memory: { limit: 64 * MB, swap: -1, checkBeforeUpdate: true },
    pids: { limit: 20 },
    hugepageLimits: [{ pageSize: "2MB", limit: 4 * MB }],
    blockIO: {
      throttleReadBpsDevice: [{ major, minor, rate: 1_000_000 }],
      throttleWriteIOPSDevice: [{ major, minor, rate: 500 }],
    },
    unified: { "pids.max": "25", "memory.high": String(32 * MB), "cgroup.max.depth": "7" },
  };
  for (const runtime of runtimes) {
    const lines = await beside(
      runtime,
      { linux: { resources } },
      "say memory.max memory.swap.max memory.high pids.max hugetlb.2MB.max hugetlb.2MB.rsvd.max io.max cgroup.max.depth",
    );
    assert.deepEqual(
      lines.filter((line) => runtime === "gantry-oci" || !line.includes("rsvd")),
      [
        `memory.max ${64 * MB}`,
        "memory.swap.max max",
        `memory.high ${32 * MB}`,
        "pids.max 25",
        `hugetlb.2MB.max ${4 * MB}`,
        ...(runtime === "gantry-oci" ? [`hugetlb.2MB.rsvd.max ${4 * MB}`] : []),
        `io.max ${device} rbps=1000000 wbps=max riops=max wiops=500`,
        "cgroup.max.depth 7",
      ],
      runtime,
    );
  }
});

test(
  "on v2 a raw entry of a controller that is not there is refused in the same words",
  options,
  async () => {
    const config = JSON.stringify(merge(base, { linux: { resources: { unified: { "nosuch.max": "1" } } } }));
    for (const runtime of ["gantry-oci", "runc"]) {
      const { code, stderr } = await vm.run(
        `RT=${runtime}; . /tmp/lib; echo '${config}' | begin; ls -d $G 2> /dev/null`,
        { timeoutMs: 60_000 },
      );
      assert.notEqual(code, 0, runtime);
      assert.match(
        stderr,
        /unified resource .*nosuch.max.* can't be set: controller .*nosuch.* not available/,
        runtime,
      );
    }
  },
);

/** What an error of ours says, one line each. */
const words = `2>&1 | sed 's/.*msg="//; s/"$//'`;

test("on v2 one value of a pair is updated with the other as it was", options, async () => {
  const resources = {
    memory: { limit: 64 * MB, swap: 128 * MB },
    cpu: { quota: 20_000, period: 50_000, burst: 15_000 },
  };
  const lines = await beside(
    "gantry-oci",
    { linux: { resources } },
    `say cpu.max.burst
     rt update --memory 100M c; say memory.max memory.swap.max
     rt update --cpu-quota 30000 c; say cpu.max
     rt update --cpu-quota 5000 --cpu-burst 1000 c; say cpu.max cpu.max.burst
     rt update --cpu-idle 1 c; rt update --cpu-share 2048 c; say cpu.idle
     rt update --cpu-idle 0 c; say cpu.weight`,
  );
  assert.deepEqual(lines, [
    "cpu.max.burst 15000",
    `memory.max ${100 * MB}`,
    `memory.swap.max ${28 * MB}`,
    "cpu.max 30000 50000",
    "cpu.max 5000 50000",
    "cpu.max.burst 1000",
    "cpu.idle 1",
    "cpu.weight 174",
  ]);
});

test(
  "on v2 an update that fails leaves everything as it was, and says what could not be written",
  options,
  async () => {
    const resources = {
      memory: { limit: 64 * MB, swap: 64 * MB },
      cpu: { quota: 20_000, period: 50_000 },
      pids: { limit: 20 },
    };
    const files = "memory.max memory.swap.max cpu.max pids.max cpu.weight memory.high";
    const bad = {
      pids: { limit: 44 },
      memory: { limit: 99 * MB, swap: 120 * MB },
      unified: { "memory.high": "many" },
    };
    const checked = { memory: { limit: MB / 16, checkBeforeUpdate: true } };
    const lines = await beside(
      "gantry-oci",
      { linux: { resources } },
      `say ${files} > /tmp/before
     rt update --memory 50M --cpu-share 500 --cpu-period 5 c ${words}
     echo '${JSON.stringify(bad)}' | rt update -r - c ${words}
     echo '{"unified":{"rdm.max":"1"}}' | rt update -r - c ${words}
     echo '${JSON.stringify(checked)}' | rt update -r - c ${words}
     say ${files} | diff /tmp/before - && echo same
     ls /run/gantry-oci/c | grep resources || echo forgotten`,
    );
    assert.deepEqual(lines.slice(0, 2), [
      "failed to set /linux/resources/cpu/quota: cpu.max = 20000 5: invalid argument",
      "failed to set /linux/resources/unified/memory.high: memory.high = many: invalid argument",
    ]);
    assert.match(lines[2]!, /unified resource .*rdm.max.* can't be set: controller .*rdm.* not available/);
    assert.match(
      lines[3]!,
      /^rejecting memory\+swap limit \d+ <= usage \d+$|^rejecting memory limit 65536 <= usage \d+$/,
    );
    assert.deepEqual(lines.slice(4), ["same", "forgotten"]);
  },
);

test(
  "on v2 the device program is replaced in one step: nothing that stays allowed is refused meanwhile",
  options,
  async () => {
    const script = [
      "while :; do true < /dev/null || echo null >> /refused",
      "true > /dev/kmsg && echo > /through; echo >> /beat; done 2> /dev/null",
    ].join("; ");
    const log = { allow: true, type: "c", major: 1, minor: 11, access: "w" };
    // some rounds of the program, so that one that was on its way is over
    const rounds = "B=$(beats); until [ $(beats) -gt $((B + 4)) ]; do sleep 0.02; done";
    const set = (...devices: readonly object[]) =>
      `echo '${JSON.stringify({ devices })}' | rt update -r - c
       ${rounds}; rm -f /tmp/rootfs/through; ${rounds}; ls /tmp/rootfs/through 2> /dev/null || echo refused`;
    const lines = await beside(
      "gantry-oci",
      {
        process: { args: ["sh", "-c", script] },
        linux: { devices: [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 0o666 }] },
      },
      `beats() { wc -c < /tmp/rootfs/beat; }; until [ -s /tmp/rootfs/beat ]; do sleep 0.02; done
     ${set({ allow: false }, log)}
     ${set({ allow: false })}
     ${set({ allow: true })}
     ${set({ allow: false })}
     ls /tmp/rootfs/refused 2> /dev/null || echo never`,
    );
    assert.deepEqual(lines, ["/tmp/rootfs/through", "refused", "/tmp/rootfs/through", "refused", "never"]);
  },
);

test("on v2 ps tells of processes in cgroups below, and kill --all reaches them", options, async () => {
  for (const runtime of ["gantry-oci", "runc"]) {
    const lines = await beside(
      runtime,
      { process: { args: ["sh", "-c", "sleep 1001 & exec sleep 1000"] } },
      `n=0; until [ "$(wc -l < $G/cgroup.procs)" = 2 ]; do n=$((n + 1)); [ $n -gt 400 ] && exit 1; sleep 0.05; done
       mkdir $G/inner; tail -n 1 $G/cgroup.procs > $G/inner/cgroup.procs
       rt ps -f json c | tr -cd , | wc -c
       rt kill --all c KILL; stopped; cat $G/inner/cgroup.procs $G/cgroup.procs | wc -l`,
    );
    assert.deepEqual(lines, ["1", "0"], runtime);
  }
});

/** "cpu.usage.kernel", for every member. */
function members(value: unknown, path = ""): readonly string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([name, member]) => members(member, `${path}.${name}`));
}

test("on v2 statistics have the members of the reference's", options, async () => {
  const documents: Record<string, unknown> = {};
  for (const runtime of ["gantry-oci", "runc"]) {
    const resources = { memory: { limit: 64 * MB, swap: 128 * MB }, pids: { limit: 20 } };
    const [line = ""] = await beside(runtime, { linux: { resources } }, "rt events --stats c");
    const event = JSON.parse(line) as { type: string; data: Record<string, Record<string, unknown>> };
    assert.equal(event.type, "stats");
    assert.deepEqual((event.data.memory!.usage as Json).limit, 64 * MB);
    assert.deepEqual((event.data.memory!.swap as Json).limit, 128 * MB);
    assert.deepEqual(event.data.pids, { current: 1, limit: 20 });
    documents[runtime] = event.data;
  }
  const [ours, theirs] = [members(documents["gantry-oci"]), members(documents.runc)];
  // of what is 0 nothing is told
  const comesAndGoes = /\.(usage|max|cache)$|^\.blkio|network_interfaces|intel_rdt|hugetlb/;
  assert.deepEqual(
    theirs.filter((one) => !ours.includes(one) && !comesAndGoes.test(one)),
    [],
  );
});

test(
  "on v2 a container that is killed for want of memory is told as oom, and events end with it",
  options,
  async () => {
    const resources = { memory: { limit: 16 * MB, swap: 16 * MB } };
    const lines = await beside(
      "gantry-oci",
      {
        process: { args: ["sh", "-c", "until [ -e /go ]; do sleep 0.02; done; exec tail /dev/zero"] },
        linux: { resources },
      },
      `rt events --interval 300ms c > /tmp/events & n=0
     until [ -s /tmp/events ]; do n=$((n + 1)); [ $n -gt 400 ] && exit 1; sleep 0.05; done
     touch /tmp/rootfs/go; wait; grep -v stats /tmp/events; tail -n 1 /tmp/events | cut -c1-15`,
    );
    assert.equal(lines[0], '{"type":"oom","id":"c"}');
  },
);

test("a writable v2 cgroup belongs to the user of the process, who can divide it", options, async () => {
  const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user"].map((type) => ({ type }));
  const owned = (readOnly: boolean): Json => ({
    process: { args: ["sh", "-c", "mkdir /sys/fs/cgroup/part && echo > /up; exec sleep 1000"] },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro", "nosuid", "noexec", "nodev"] },
      {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["nosuid", "noexec", "nodev", ...(readOnly ? ["ro"] : [])],
      },
    ],
    linux: { namespaces, uidMappings: ids, gidMappings: ids },
  });
  const look =
    "chown 100000 /tmp/rootfs; cd $G; stat -c '%u %n' . cgroup.procs cgroup.subtree_control memory.max";
  const wait =
    "n=0; until [ -e /tmp/rootfs/up ]; do n=$((n + 1)); [ $n -gt 400 ] && exit 1; sleep 0.05; done";
  for (const runtime of ["gantry-oci", "crun"]) {
    await vm.run("chown 100000 /tmp/rootfs");
    assert.deepEqual(
      await beside(runtime, owned(false), `${wait}; ${look}; ls -d part; cd /`),
      ["100000 .", "100000 cgroup.procs", "100000 cgroup.subtree_control", "0 memory.max", "part"],
      runtime,
    );
  }
  assert.deepEqual((await beside("gantry-oci", owned(true), `${look}; cd /`)).slice(0, 2), [
    "0 .",
    "0 cgroup.procs",
  ]);
});
