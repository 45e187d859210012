/** The systemd driver, in a machine whose first process is Debian's systemd, beside runc where it does the same. */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootDebian } from "./debian.ts";
import { type Machine, machineMissing } from "./machine.ts";
import { withSuiteTree } from "./suite-tree.ts";

const skip = machineMissing() || needs("root", gantryOciProgram);
let vm: Machine;

before(async () => {
  if (skip) return;
  vm = await withSuiteTree((tree) => bootDebian({ init: "systemd", tree }));
  // what every script begins with
  const { code, stderr } = await vm.run(`cat > /opt/helpers <<'END'
${helpers}
END
mkdir -p /opt/rootfs && tar -C /opt/rootfs -xf /opt/gantry/busybox.tar`);
  assert.equal(code, 0, stderr);
});
after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

const helpers = `
bundle() { mkdir -p /tmp/$1; rm -rf /tmp/$1/rootfs; cp -a /opt/rootfs /tmp/$1/rootfs; cat > /tmp/$1/config.json; }
# Waits up to 20 s for a command to succeed.
await() { tries=0; until eval "$1"; do tries=$((tries + 1)); [ $tries -lt 400 ] || return 1; sleep 0.05; done; }
show() { for name in $2; do systemctl show "$1" -p $name; done; }
units() { systemctl list-units --all --plain --no-legend --no-pager "$1" | grep -v not-found | cut -d' ' -f1; }
`;

type Json = Readonly<Record<string, unknown>>;

const namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type }));

function config(script: string, linux: Json = {}, more: Json = {}): string {
  return JSON.stringify({
    ociVersion: "1.0.2",
    root: { path: "rootfs" },
    process: {
      cwd: "/",
      user: { uid: 0, gid: 0 },
      args: ["sh", "-c", script],
      env: ["PATH=/bin"],
      capabilities: { bounding: ["CAP_MKNOD"], effective: ["CAP_MKNOD"], permitted: ["CAP_MKNOD"] },
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
    ],
    linux: { namespaces, resources: { devices: [{ allow: false, access: "rwm" }] }, ...linux },
    ...more,
  });
}

/** Runs a script that has to succeed; hands back the lines it printed. `bundles`: name -> config.json. */
async function lines(bundles: Readonly<Record<string, string>>, script: string): Promise<string[]> {
  const made = Object.entries(bundles).map(([name, text]) => `bundle ${name} <<'END'\n${text}\nEND`);
  const whole = `. /opt/helpers\nset -e\n${made.join("\n")}\n${script}`;
  const { code, stdout, stderr } = await vm.run(whole, { timeoutMs: 580_000 });
  assert.equal(code, 0, `${stderr}${stdout}`);
  return stdout.trimEnd().split("\n");
}

const options = { skip, timeout: 600_000 };
const oci = "gantry-oci --systemd-cgroup";

const resources = {
  devices: [{ allow: false, access: "rwm" }],
  memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
  cpu: { quota: 25000, period: 50000, cpus: "0-1" },
  pids: { limit: 17 },
};

test("the scope has the properties that runc gives it, and the files say the same", options, async () => {
  const names =
    "Slice Delegate MemoryMax MemoryLow MemorySwapMax CPUQuotaPerSecUSec CPUQuotaPeriodUSec AllowedCPUs TasksMax " +
    "MemoryAccounting CPUAccounting IOAccounting TasksAccounting DefaultDependencies DevicePolicy";
  const files = "memory.max memory.low memory.swap.max cpu.max cpuset.cpus pids.max";
  const run = (runtime: string, name: string) => `
    ${runtime} run --detach --bundle /tmp/${name} ${name} > /dev/null 2>&1 < /dev/null
    show pre-${name}.scope "${names}"
    systemctl show pre-${name}.scope -p DeviceAllow | grep -v pts | grep -v 136 | sort
    cd /sys/fs/cgroup/a.slice/a-b.slice/pre-${name}.scope
    grep . ${files}
    cat cgroup.procs | wc -l
    cd /
    ${runtime} delete --force ${name}
    await '[ -z "$(units pre-${name}.scope)" ]'
    ls -d /sys/fs/cgroup/a.slice/a-b.slice/pre-${name}.scope 2> /dev/null || echo gone`;
  const make = (name: string) =>
    config("exec sleep 1000", { cgroupsPath: `a-b.slice:pre:${name}`, resources });
  const ours = await lines({ ours: make("ours") }, run(oci, "ours"));
  const theirs = await lines({ theirs: make("theirs") }, run("runc --systemd-cgroup", "theirs"));
  // Debian's runc still lets every container have /dev/net/tun, which its later versions do not
  assert.deepEqual(
    ours,
    theirs.filter((line) => line !== "DeviceAllow=/dev/char/10:200 rwm"),
  );
  for (const line of ["Slice=a-b.slice", "Delegate=yes", "MemoryMax=67108864", "TasksMax=17", "gone"])
    assert.ok(ours.includes(line), line);
  for (const line of ["memory.swap.max:33554432", "cpu.max:25000 50000", "cpuset.cpus:0-1", "pids.max:17"])
    assert.ok(ours.includes(line), line);
});

test(
  "without a cgroupsPath the scope is below system.slice, and a run in the foreground takes it away",
  options,
  async () => {
    const made = config("cat /proc/self/cgroup; exit 3");
    const out = await lines(
      { plain: made },
      `code=0; ${oci} run --bundle /tmp/plain plain || code=$?
     echo $code
     await '[ -z "$(units gantry-plain.scope)" ]'
     ls /run/gantry-oci
     ls /sys/fs/cgroup/system.slice | grep -c gantry-plain || true`,
    );
    assert.deepEqual(out, ["0::/", "3", "0"]);
  },
);

test("the program is in its scope from its first instruction on", options, async () => {
  const made = config("cat /proc/self/cgroup", {
    cgroupsPath: "x.slice:pre:first",
    namespaces: namespaces.filter(({ type }) => type !== "cgroup"),
  });
  assert.deepEqual(await lines({ first: made }, `${oci} run --bundle /tmp/first first`), [
    "0::/x.slice/pre-first.scope",
  ]);
});

test(
  "limits that systemd does not know are in the files, and a reload of systemd leaves all of them",
  options,
  async () => {
    const made = config("exec sleep 1000", {
      cgroupsPath: ":pre:reload",
      resources: {
        ...resources,
        unified: { "memory.high": "50331648", "memory.min": "1048576", "cpu.weight": "77" },
        hugepageLimits: [{ pageSize: "2MB", limit: 4 << 20 }],
      },
    });
    const files = `cd /sys/fs/cgroup/system.slice/pre-reload.scope; grep . memory.high memory.max memory.swap.max
    grep . memory.low cpu.weight cpu.max cpuset.cpus pids.max hugetlb.2MB.max memory.min; cd /`;
    const out = await lines(
      { reload: made },
      `${oci} run --detach --bundle /tmp/reload reload
     ${files}
     systemctl daemon-reload
     echo reloaded
     ${files}
     ${oci} delete --force reload`,
    );
    const at = out.indexOf("reloaded");
    assert.deepEqual(out.slice(0, at), out.slice(at + 1));
    for (const line of [
      "memory.high:50331648",
      "memory.min:1048576",
      "cpu.weight:77",
      "hugetlb.2MB.max:4194304",
    ])
      assert.ok(out.includes(line), `${line} in ${out.join("\n")}`);
  },
);

for (const [what, rules] of [
  [
    "a list of allowed devices",
    [{ allow: false }, { allow: true, type: "c", major: 1, minor: 11, access: "w" }],
  ],
  [
    "all devices but some",
    [
      { allow: true, access: "rwm" },
      { allow: false, type: "c", major: 1, minor: 4, access: "rwm" },
    ],
  ],
] as const)
  test(`device rules are the same after a reload of systemd: ${what}`, options, async () => {
    const probe = "echo x > /dev/kmsg && echo kmsg; (: < /dev/port) 2>&1; echo x > /dev/null && echo null";
    const made = config(`while read -r _; do ${probe}; done < /in > /out 2>&1`, {
      cgroupsPath: ":pre:devices",
      devices: [
        { path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 0o666 },
        { path: "/dev/port", type: "c", major: 1, minor: 4, fileMode: 0o666 },
      ],
      resources: { devices: rules },
    });
    const once = (count: number) =>
      `echo go >&9; await '[ $(grep -c null /tmp/devices/rootfs/out) = ${count} ]'`;
    const out = await lines(
      { devices: made },
      `mkfifo /tmp/devices/rootfs/in
       exec 9<> /tmp/devices/rootfs/in
       ${oci} run --detach --bundle /tmp/devices devices 9>&-
       ${once(1)}
       systemctl daemon-reload
       ${once(2)}
       systemctl set-property --runtime pre-devices.scope TasksMax=99
       ${once(3)}
       ${oci} delete --force devices
       sed 's/sh: can.t open .dev.port: //' /tmp/devices/rootfs/out`,
    );
    const round = ["kmsg", "Operation not permitted", "null"];
    assert.deepEqual(out, [...round, ...round, ...round]);
  });

test(
  "update tells systemd as well as the files, and takes both back when a file refuses",
  options,
  async () => {
    const made = config("exec sleep 1000", { cgroupsPath: ":pre:update", resources });
    const look = `show pre-update.scope "MemoryMax TasksMax CPUQuotaPerSecUSec AllowedCPUs CPUWeight"
    cd /sys/fs/cgroup/system.slice/pre-update.scope; grep . memory.max pids.max cpu.max cpuset.cpus cpu.weight; cd /`;
    const out = await lines(
      { update: made },
      `${oci} run --detach --bundle /tmp/update update
     ${oci} update --memory 83886080 --memory-swap 125829120 --pids-limit 21 --cpuset-cpus 1 --cpu-quota 12345 update
     ${look}
     systemctl daemon-reload
     echo refused
     echo '{"pids":{"limit":5},"cpu":{"shares":2},"unified":{"memory.no_such_file":"1"}}' > /tmp/patch
     ${oci} update -r /tmp/patch update > /dev/null 2>&1 && echo taken
     ${look}
     ${oci} delete --force update`,
    );
    const at = out.indexOf("refused");
    const first = ["MemoryMax=83886080", "TasksMax=21", "CPUQuotaPerSecUSec=250ms", "AllowedCPUs=1"];
    const files = [
      "memory.max:83886080",
      "pids.max:21",
      "cpu.max:12345 50000",
      "cpuset.cpus:1",
      "cpu.weight:100",
    ];
    assert.deepEqual(out.slice(0, at), [...first, "CPUWeight=[not set]", ...files]);
    // systemd counts in percents of a processor: after its reload the quota is what it was told
    const rounded = files.map((line) => line.replace("12345", "12500"));
    assert.deepEqual(out.slice(at + 1), [...first, "CPUWeight=[not set]", ...rounded]);
  },
);

test(
  "a container has its scope to itself: it makes cgroups below and hands controllers on",
  options,
  async () => {
    const script = `cd /sys/fs/cgroup && mkdir init sub && echo $$ > init/cgroup.procs &&
    echo "+memory +pids" > cgroup.subtree_control && echo 5 > sub/pids.max && cat sub/pids.max && touch /ready && exec sleep 1000`;
    const made = config(script, { cgroupsPath: ":pre:tree" });
    const out = await lines(
      { tree: made },
      `${oci} run --detach --bundle /tmp/tree tree > /tmp/tree.out
     await '[ -e /tmp/tree/rootfs/ready ]'
     cat /tmp/tree.out
     systemctl daemon-reload
     cd /sys/fs/cgroup/system.slice/pre-tree.scope; cat cgroup.subtree_control sub/pids.max; cat init/cgroup.procs | wc -l; cd /
     ${oci} kill tree KILL
     await 'gantry-oci state tree | grep -q stopped'
     ${oci} delete tree
     await '[ -z "$(units pre-tree.scope)" ]'
     ls -d /sys/fs/cgroup/system.slice/pre-tree.scope 2> /dev/null || echo gone`,
    );
    assert.deepEqual(out, ["5", "memory pids", "5", "1", "gone"]);
  },
);

test("a start that fails half-way leaves no unit, no cgroup and no state", options, async () => {
  const absent = JSON.parse(config("true", { cgroupsPath: ":pre:absent" })) as {
    process: { args: string[] };
  };
  absent.process.args = ["nope"];
  const limits = config("true", {
    cgroupsPath: ":pre:limits",
    resources: { unified: { "memory.no_such_file": "1" } },
  });
  const out = await lines(
    { absent: JSON.stringify(absent), limits },
    `for name in absent limits; do
       ${oci} run --bundle /tmp/$name $name 2>&1 | sed 's/.*msg=//' && echo $?
       await '[ -z "$(units "pre-$name.scope")" ]'
       ls -d /sys/fs/cgroup/system.slice/pre-$name.scope 2> /dev/null || echo gone
     done
     ls /run/gantry-oci`,
  );
  assert.match(out[0] ?? "", /executable file not found in \$PATH/);
  assert.match(out.join("\n"), /memory\.no_such_file/);
  assert.equal(out.filter((line) => line === "gone").length, 2);
});

test("what systemd refuses is told with its reason", options, async () => {
  const made = config(
    "true",
    { cgroupsPath: ":pre:refused" },
    {
      annotations: { "org.systemd.property.KillMode": "'sometimes'" },
    },
  );
  const out = await lines(
    { refused: made },
    `${oci} run --bundle /tmp/refused refused 2>&1 || true; units pre-refused.scope; ls /run/gantry-oci`,
  );
  assert.equal(out.length, 1, out.join("\n"));
  assert.match(out[0]!, /StartTransientUnit: .*KillMode/);
});

test("annotations set properties of the unit, but none that reach beyond it", options, async () => {
  const good = config(
    "exec sleep 1000",
    { cgroupsPath: ":pre:good" },
    {
      annotations: {
        "org.systemd.property.TimeoutStopSec": "7",
        "org.systemd.property.After": "['dbus.service']",
        "org.systemd.property.CollectMode": "'inactive'",
      },
    },
  );
  const bad = config(
    "true",
    { cgroupsPath: ":pre:bad" },
    {
      annotations: { "org.systemd.property.OnFailure": "['reboot.target']" },
    },
  );
  const out = await lines(
    { good, bad },
    `${oci} run --detach --bundle /tmp/good good
     show pre-good.scope "TimeoutStopUSec CollectMode"; systemctl show pre-good.scope -p After | grep -o dbus.service
     ${oci} delete --force good
     ${oci} run --bundle /tmp/bad bad 2>&1 || true
     units pre-bad.scope`,
  );
  assert.deepEqual(out.slice(0, 3), ["TimeoutStopUSec=7s", "CollectMode=inactive", "dbus.service"]);
  assert.match(out[3]!, /org\.systemd\.property\.OnFailure: this property of a unit may not be set/);
  assert.equal(out.length, 4);
});

test("a failed unit of the same name makes room, a living one does not", options, async () => {
  const make = () => config("exec sleep 1000", { cgroupsPath: ":pre:again" });
  const out = await lines(
    { again: make() },
    `systemd-run --quiet --scope --unit pre-again.scope -p RuntimeMaxSec=1 sleep 1000 > /dev/null 2>&1 || true
     await 'systemctl is-failed --quiet pre-again.scope'
     echo failed
     ${oci} run --detach --bundle /tmp/again again
     systemctl is-active pre-again.scope
     ${oci} run --detach --bundle /tmp/again other 2>&1 || true
     systemctl is-active pre-again.scope
     gantry-oci state again | grep status
     ${oci} delete --force again`,
  );
  assert.deepEqual([out[0], out[1], out[3]], ["failed", "active", "active"]);
  assert.match(out[2]!, /pre-again\.scope.* already exists/);
  assert.match(out[4]!, /running/);
});

test("a name that ends in .slice is a slice, with the program in it", options, async () => {
  const made = config("exec sleep 1000", { cgroupsPath: "system.slice:x:pod-a.slice" });
  const out = await lines(
    { slice: made },
    `${oci} run --detach --bundle /tmp/slice slice
     systemctl is-active pod-a.slice
     pid=$(gantry-oci state slice | grep '"pid"' | tr -dc 0-9)
     cat /proc/$pid/cgroup
     ${oci} delete --force slice
     await '[ -z "$(units pod-a.slice)" ]'
     ls -d /sys/fs/cgroup/pod.slice/pod-a.slice 2> /dev/null || echo gone`,
  );
  assert.deepEqual(out, ["active", "0::/pod.slice/pod-a.slice", "gone"]);
});

test("crun's flag says the same, and with `disabled` there is no cgroup", options, async () => {
  const made = config("cat /proc/self/cgroup", {
    cgroupsPath: ":pre:flag",
    namespaces: namespaces.filter(({ type }) => type !== "cgroup"),
  });
  const out = await lines(
    { flag: made },
    `gantry-oci --cgroup-manager=systemd run --bundle /tmp/flag flag
     gantry-oci --cgroup-manager disabled run --bundle /tmp/flag flag
     cat /proc/self/cgroup
     gantry-oci --cgroup-manager other list 2>&1 || true`,
  );
  assert.equal(out[0], "0::/system.slice/pre-flag.scope");
  assert.equal(out[1], out[2]);
  assert.match(out[3]!, /unknown cgroup manager/);
});

for (const [what, moment, victims] of [
  ["the runtime, before systemd hears of the unit", "before", "$runtime"],
  ["the runtime, when the unit is there", "after", "$runtime"],
  ["runtime and executor, when the unit is there", "after", "$runtime $(pgrep -f gantry-executor)"],
  [
    "runtime and executor, before systemd hears of the unit",
    "before",
    "$runtime $(pgrep -f gantry-executor)",
  ],
] as const)
  test(`killed while the unit is made, nothing is left: ${what}`, options, async () => {
    const made = config("exec sleep 1000", { cgroupsPath: ":pre:killed" });
    const kill = `runtime=$(pgrep -f systemd-cgroup.run.--detach); kill -9 ${victims}`;
    const out = await lines(
      { killed: made },
      `rm -f /tmp/hold.sock
       cat > /tmp/kill <<'KILL'
${kill.replaceAll("$", "$")}
KILL
       /opt/gantry/node_modules/.bin/bun /opt/gantry/test/vm/hold-systemd.ts /tmp/hold.sock /run/systemd/private \
         ${moment} 'sh /tmp/kill' > /tmp/hold.out 2>&1 &
       hold=$!
       await 'grep -q ready /tmp/hold.out'
       mkdir -p /tmp/bus && touch /tmp/bus/private
       code=0
       unshare -m sh -c 'cp /dev/null /dev/null; mount --bind /tmp/hold.sock /run/systemd/private; exec ${oci} run --detach --bundle /tmp/killed killed' > /tmp/killed.out 2>&1 || code=$?
       echo $code
       gantry-oci delete --force killed
       kill $hold
       await '[ -z "$(units pre-killed.scope)" ]'
       await '! pgrep -f gantry-executor > /dev/null'
       await '! pgrep -x sleep > /dev/null'
       ls -d /sys/fs/cgroup/system.slice/pre-killed.scope 2> /dev/null || echo gone
       ls /run/gantry-oci`,
    );
    assert.deepEqual(out, ["137", "gone"]);
  });

test("the scope of a run whose command was killed ends with the program", options, async () => {
  const rounds = 20;
  const name = (round: string) => `orphan-${round}`;
  const made = config("echo ready; exec sleep 1000", { cgroupsPath: ":pre:orphan" });
  const out = await lines(
    { orphan: made },
    `for round in $(seq ${rounds}); do
       sed s/pre:orphan/pre:${name("$round")}/ -i.before /tmp/orphan/config.json
       ${oci} run --bundle /tmp/orphan ${name("$round")} > /tmp/orphan/out 2>&1 & command=$!
       await 'grep -q ready /tmp/orphan/out'
       pid=$(gantry-oci state ${name("$round")} | grep '"pid"' | tr -dc 0-9)
       kill -9 $command
       kill -9 $pid
       mv /tmp/orphan/config.json.before /tmp/orphan/config.json
     done
     await '[ -z "$(pgrep gantry-executor)" ]'
     await '[ -z "$(units "pre-orphan-*")" ]' || units "pre-orphan-*"
     ls /run/gantry-oci
     ls -d /sys/fs/cgroup/system.slice/pre-orphan-* 2> /dev/null || echo gone`,
  );
  assert.deepEqual(out, ["gone"]);
});

test("a user's own systemd holds a container of a user without privileges", options, async () => {
  const ids = (inside: number) => [
    { containerID: inside, hostID: 1000, size: 1 },
    { containerID: inside + 1, hostID: 100000, size: 1000 },
  ];
  const made = config(
    "cat /proc/self/cgroup; id -u; touch /ready; exec sleep 1000",
    {
      cgroupsPath: ":pre:user",
      namespaces: [...namespaces, { type: "user" }].filter(({ type }) => type !== "cgroup"),
      uidMappings: ids(0),
      gidMappings: ids(0),
      resources: { pids: { limit: 33 }, memory: { limit: 64 << 20 } },
    },
    {},
  );
  const as =
    "setpriv --reuid 1000 --regid 1000 --clear-groups env XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/user";
  const user = `${as} ${oci} --root /run/user/1000/oci`;
  const show = `${as} systemctl --user show pre-user.scope`;
  const out = await lines(
    { user: made },
    `systemctl start user@1000.service
     chown -R 1000:1000 /tmp/user
     ${user} run --detach --bundle /tmp/user user > /tmp/user.out 2> /tmp/user.err || { cat /tmp/user.err; exit 1; }
     await '[ -e /tmp/user/rootfs/ready ]'
     cat /tmp/user.out
     ${show} -p TasksMax; ${show} -p MemoryMax; ${show} -p Slice
     cd /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/pre-user.scope
     cat pids.max; cd /
     ${user} delete --force user
     await '[ -z "$(${as} systemctl --user list-units --all --plain --no-legend pre-user.scope)" ]'
     ls /run/user/1000/oci | wc -l`,
  );
  assert.deepEqual(out, [
    "0::/user.slice/user-1000.slice/user@1000.service/user.slice/pre-user.scope",
    "0",
    "TasksMax=33",
    "MemoryMax=67108864",
    "Slice=user.slice",
    "33",
    "0",
  ]);
});

test(
  "the service that the project ships keeps containers up, and its end touches none",
  options,
  async () => {
    const out = await lines(
      {},
      `gantry=/opt/gantry/dist/gantry
     sed "s,/usr/local/bin/gantry,$gantry," /opt/gantry/gantry.service > /run/systemd/system/gantry.service
     systemctl daemon-reload; systemctl start gantry
     $gantry import -c 'CMD ["sh"]' /opt/gantry/busybox.tar busybox > /dev/null
     $gantry run -d --name kept --restart always busybox sleep 1000 > /dev/null
     pid() { $gantry inspect -f '{{.State.Pid}}' kept; }
     count() { $gantry inspect -f '{{.RestartCount}}' kept; }
     kill -9 $(pid)
     await '[ "$(count)" = 1 ] && [ "$(pid)" -gt 0 ]'
     first=$(pid)
     systemctl kill -s KILL --kill-who=main gantry
     await '[ "$(systemctl is-active gantry)" = active ]'
     [ "$(pid)" = $first ] && echo survived a kill
     systemctl stop gantry
     [ "$(pid)" = $first ] && echo survived a stop
     systemctl start gantry; systemctl is-active gantry
     $gantry rm -f kept
     systemctl stop gantry; rm /run/systemd/system/gantry.service; systemctl daemon-reload`,
    );
    assert.deepEqual(out, ["survived a kill", "survived a stop", "active", "kept"]);
  },
);

for (const runtime of ["runc", "gantry-oci"])
  test(
    `${runtime}: a restored container is in a scope of its own again, with its limits`,
    options,
    async () => {
      const name = `again-${runtime}`;
      const counting = "i=10000000; while true; do i=$((i+1)); echo $i > /vol/n; usleep 100000; done";
      const mounts = [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
        { destination: "/vol", type: "bind", source: "vol", options: ["rbind"] },
      ];
      const scope = `pre-${name}.scope`;
      const found = await lines(
        {
          [name]: config(
            counting,
            { cgroupsPath: `a-b.slice:pre:${name}`, resources: { ...resources, devices: undefined } },
            { mounts },
          ),
        },
        `
      cd /tmp/${name}; mkdir -p vol img
      counts() { await '[ -s vol/n ]'; n=$(cat vol/n); await '[ "$(cat vol/n)" -gt $n ] 2> /dev/null'; }
      ${runtime} --systemd-cgroup run --detach ${name} > /dev/null 2>&1 < /dev/null; counts
      ${runtime} --systemd-cgroup checkpoint --image-path img ${name} 2> err || { cat err; tail -n 30 img/dump.log; exit 1; }
      await '[ -z "$(units ${scope})" ]'
      ${runtime} --systemd-cgroup restore --detach --pid-file pid --image-path img ${name} > told 2>&1 < /dev/null ||
        { cat told; tail -n 30 img/restore.log; exit 1; }
      counts; cat /proc/$(cat pid)/cgroup
      show ${scope} "ActiveState MemoryMax TasksMax CPUQuotaPerSecUSec AllowedCPUs"
      cd /sys/fs/cgroup/a.slice/a-b.slice/${scope}; grep . memory.max pids.max cpu.max; grep -c -x "$(cat /tmp/${name}/pid)" cgroup.procs; cd /
      ${runtime} --systemd-cgroup delete --force ${name}
      await '[ -z "$(units ${scope})" ]'; ls -d /sys/fs/cgroup/a.slice/a-b.slice/${scope} 2> /dev/null || echo gone`,
      );
      assert.deepEqual(found, [
        `0::/a.slice/a-b.slice/${scope}`,
        ...["ActiveState=active", "MemoryMax=67108864", "TasksMax=17", "CPUQuotaPerSecUSec=500ms"],
        "AllowedCPUs=0-1",
        ...["memory.max:67108864", "pids.max:17", "cpu.max:25000 50000", "1", "gone"],
      ]);
    },
  );
