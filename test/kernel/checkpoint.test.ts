/**
 * checkpoint and restore through criu, in a virtual machine: a criu that is older than the kernel refuses to work, as
 * Debian's does on most machines. runc goes first in every comparison.
 */
import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootMachine, type Machine, machineMissing } from "../vm/machine.ts";
import { criuModules, criuPrograms, programFiles } from "../vm/programs.ts";
import { merge } from "./bundle.ts";

const skip = machineMissing() || needs("root", gantryOciProgram, "runc", "conmon", ...criuPrograms);
const timeout = 300_000;
let vm: Machine;

before(async () => {
  if (skip) return;
  const files = await programFiles([...criuPrograms, "runc", "conmon"]);
  vm = await bootMachine({ files, modules: criuModules, memoryMb: 1536 });
});
after(async () => {
  await vm?.[Symbol.asyncDispose]();
});

type Json = Readonly<Record<string, unknown>>;
type Runtime = "runc" | "gantry-oci";
const both: readonly Runtime[] = ["runc", "gantry-oci"];
const quiet = ["nosuid", "noexec", "nodev"];
const namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type }));

/** Counts in memory and shows it in a file of the bind mount, always of one length: criu compares sizes of open files. */
const counting =
  "echo begun; echo kept > /dev/shm/kept; i=10000000; while true; do i=$((i+1)); echo $i > /vol/n; usleep 100000; done";

function config(script: string, patch: Json = {}): string {
  const base: Json = {
    ociVersion: "1.0.2",
    root: { path: "rootfs" },
    hostname: "testbox",
    process: {
      cwd: "/",
      args: ["sh", "-c", script],
      env: ["PATH=/bin"],
      capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
      oomScoreAdj: 100,
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 512, hard: 600 }],
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      },
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...quiet, "mode=1777"] },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...quiet, "ro"] },
      { destination: "/vol", type: "bind", source: "vol", options: ["rbind"] },
      { destination: "/etc/single", type: "bind", source: "single", options: ["bind", "ro"] },
    ],
    linux: {
      cgroupsPath: "/pods/one",
      namespaces,
      resources: { memory: { limit: 64 << 20 }, pids: { limit: 50 } },
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
      },
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/acpi", "/sys/firmware"],
      readonlyPaths: ["/proc/bus", "/proc/sys"],
    },
  };
  return JSON.stringify(merge(base, patch));
}

/** Words of the scripts below; each waits for what it says with a deadline. */
const words = `
export PATH=/usr/bin:$PATH
cd /tmp
until_true() { i=0; until eval "$1"; do i=$((i+1)); [ $i -gt 600 ] && { echo "never: $1" >&2; exit 99; }; usleep 50000; done; }
bundle() {
	rm -rf b; mkdir -p b/rootfs b/vol b/img; tar -C b/rootfs -xf /opt/busybox.tar
	mkdir -p b/rootfs/tmp; echo one > b/single; cat > b/config.json
	before=$(wc -l < /proc/mounts); cd b
}
detached() { # RUNTIME VERB FLAGS...: stdio as an engine gives it
	runtime=$1 verb=$2; shift 2; rm -f pid code
	( ( $runtime $verb --detach --pid-file pid "$@" c < /dev/null 2>&1; echo $? > code ) | cat >> out ) &
	until_true '[ -s code ]'
	[ "$(cat code)" = 0 ] || { cat out >&2; exit 98; }
}
counts() { # the file is empty while it is being written
	a=; until_true 'a=$(cat vol/n); [ -n "$a" ]'
	until_true 'b=$(cat vol/n); [ "\${b:-0}" -gt "$a" ]'
}
gone() { # nothing of it is left
	[ -z "$(runc list -q)$(gantry-oci list -q)" ] || { echo "left: a state"; return; }
	[ ! -e /sys/fs/cgroup/pods/one ] || { echo "left: a cgroup"; return; }
	[ "$(wc -l < /proc/mounts)" = $before ] || { echo "left: a mount"; return; }
	[ -z "$(ls /run/runc /run/gantry-oci 2>/dev/null | grep -v :)" ] || { echo "left: a directory"; return; }
	i=0 # the last one is dead, and process 1 has yet to reap it
	until [ "$(for p in /proc/[0-9]*; do readlink $p/ns/pid; done | sort -u | wc -l)" = 1 ]; do
		i=$((i+1)); [ $i -gt 100 ] && { echo "left: a process"; return; }; usleep 20000
	done
	echo nothing
}
ended() { $1 kill c KILL; until_true "[ \\"\\$($1 state c | grep -c stopped)\\" = 1 ]"; $1 delete c; }
`;

async function script(text: string, patch: Json = {}, program = counting): Promise<string[]> {
  const { code, stdout, stderr } = await vm.run(
    `${words}\nbundle <<'CONFIG'\n${config(program, patch)}\nCONFIG\n${text}`,
    { timeoutMs: 200_000 },
  );
  assert.equal(code, 0, `${stderr}${stdout}\n${vm.console().slice(-500)}`);
  return stdout.trimEnd().split("\n");
}

for (const [dumper, restorer] of [
  ["runc", "runc"],
  ["gantry-oci", "gantry-oci"],
  ["runc", "gantry-oci"],
  ["gantry-oci", "runc"],
] as const)
  test(`a container that ${dumper} wrote goes on under ${restorer} where it was, with memory, files, mounts and limits`, {
    skip,
    timeout,
  }, async () => {
    const told = await script(`
      detached ${dumper} run
      until_true '[ -s vol/n ]'; counts
      ${dumper} checkpoint --image-path img --work-path work c || exit 97
      n=$(cat vol/n); gone; cat img/descriptors.json | tr -d '0-9'; echo
      detached ${restorer} restore --image-path img --work-path work
      counts; [ $(cat vol/n) -gt $n ] && echo on
      p=$(cat pid); cat /proc/$p/cgroup out
      cat /sys/fs/cgroup/pods/one/memory.max /sys/fs/cgroup/pods/one/pids.max /proc/$p/oom_score_adj
      grep -E 'CapEff|CapBnd|Seccomp:' /proc/$p/status | cut -f 2
      grep 'open files' /proc/$p/limits | tr -s ' ' | cut -d ' ' -f 4,5
      nsenter -t $p -m cat /dev/shm/kept /etc/single; nsenter -t $p -u hostname
      nsenter -t $p -m wc -c /proc/keys
      ended ${restorer}; gone`);
    assert.deepEqual(told, [
      "nothing",
      '["/dev/null","pipe:[]","pipe:[]"]',
      "on",
      "0::/pods/one",
      "begun",
      String(64 << 20),
      "50",
      "100",
      "0000000000000020",
      "0000000000000020",
      "2",
      "512 600",
      "kept",
      "one",
      "testbox",
      "0 /proc/keys",
      "nothing",
    ]);
  });

for (const runtime of both)
  test(`${runtime}: a dump builds on a pre-dump, and --leave-running lets the container go on`, {
    skip,
    timeout,
  }, async () => {
    const told = await script(`
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --pre-dump --image-path first c || exit 97
      counts; mkdir -p second
      ${runtime} checkpoint --parent-path ../first --leave-running --image-path second c || exit 96
      counts; ${runtime} list -q; readlink second/parent
      ended ${runtime}
      detached ${runtime} restore --image-path second
      counts; ended ${runtime}; gone`);
    assert.deepEqual(told, ["c", "../first", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: a checkpoint that fails says where criu's log is, and the container goes on`, {
    skip,
    timeout,
  }, async () => {
    // a terminal's other end, or a file of the host, is nothing that criu could make again
    const told = await script(`
      ${runtime} run --detach c < /dev/null > file 2>&1
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img --work-path work c 2> err; echo $?
      tr '\\n' ' ' < err | grep -c 'criu failed: type .*log file: .*work/dump.log'
      ${runtime === "gantry-oci" ? 'grep -c "Can\'t lookup mount.*path=/tmp/b/file" err' : "echo 1"}
      ${runtime} state c | grep status; counts; cat /sys/fs/cgroup/pods/one/cgroup.freeze
      ended ${runtime}; gone`);
    assert.deepEqual(told, ["1", "1", "1", '  "status": "running",', "0", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: a restore that fails leaves nothing`, { skip, timeout }, async () => {
    const told = await script(`
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img --work-path work c || exit 97
      mv img/mm-1.img elsewhere
      ( ${runtime} restore --detach --image-path img --work-path work c < /dev/null 2> err; echo $? ) | cat
      tr '\\n' ' ' < err | grep -c 'criu failed: type .*log file: .*work/restore.log'
      ${runtime === "runc" ? "rmdir /sys/fs/cgroup/pods/one 2>/dev/null; rm -rf /run/runc/c" : ""}
      gone
      mv elsewhere img/mm-1.img
      detached ${runtime} restore --image-path img --work-path work
      counts; ended ${runtime}; gone`);
    assert.deepEqual(told, ["1", "1", "nothing", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: a joined network stays the one outside, and hooks set up what is new`, {
    skip,
    timeout,
  }, async () => {
    const joined = namespaces.map(({ type }) => (type === "network" ? { type, path: "/run/net" } : { type }));
    const hook = (name: string) => [
      { path: "/bin/sh", args: ["sh", "-c", `grep -o '"pid": *[0-9]*' | tr -dc 0-9 > /tmp/b/${name}`] },
    ];
    const told = await script(
      `
      touch /run/net; unshare -n sh -c 'mount --bind /proc/self/ns/net /run/net'
      detached ${runtime} run
      until_true '[ -s vol/n ]'; before_hook=$(cat created)
      ${runtime} checkpoint --image-path img c || exit 97
      detached ${runtime} restore --image-path img
      counts; p=$(cat pid)
      [ "$(stat -L -c %i /run/net)" = "$(stat -L -c %i /proc/$p/ns/net)" ] && echo same
      [ "$(cat created)" = $p ] && [ $p != $before_hook ] && echo hook
      ended ${runtime}; umount /run/net; gone`,
      { linux: { namespaces: joined }, hooks: { createRuntime: hook("created") } },
    );
    assert.deepEqual(told, ["same", "hook", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: in the foreground restore ends as the program does`, { skip, timeout }, async () => {
    const told = await script(
      `
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img c || exit 97
      ( ${runtime} restore --image-path img c < /dev/null 2>&1; echo "exit $?" ) | cat > told &
      counts; ${runtime} kill c TERM
      until_true 'grep -q exit told'; cat told; gone`,
      {},
      `trap "echo caught; exit 7" TERM; ${counting}`,
    );
    assert.deepEqual(told, ["caught", "exit 7", "nothing"]);
  });

test("a user namespace, another cgroup and a paused container are no obstacle", {
  skip,
  timeout,
}, async () => {
  const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const told = await script(
    `
    chmod 777 vol; chown -R 100000:100000 rootfs; chmod 755 /tmp/b
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    echo 1 > /sys/fs/cgroup/pods/one/cgroup.freeze
    gantry-oci checkpoint --image-path img c || exit 97
    sed -i s,/pods/one,/pods/other, config.json
    detached gantry-oci restore --image-path img
    counts; p=$(cat pid); cat /proc/$p/cgroup; tr -s ' ' < /proc/$p/uid_map
    ended gantry-oci; gone; ls -d /sys/fs/cgroup/pods/other 2>/dev/null; true`,
    {
      linux: {
        namespaces: [...namespaces, { type: "user" }],
        uidMappings: ids,
        gidMappings: ids,
      },
      process: { oomScoreAdj: null, capabilities: null },
    },
  );
  assert.deepEqual(told, ["0::/pods/other", " 0 100000 65536", "nothing"]);
});

test("what kills the command or the executor in the middle leaves the container, or nothing", {
  skip,
  timeout,
}, async () => {
  const told = await script(`
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    gantry-oci checkpoint --image-path img c & command=$!
    until_true '[ -s img/dump.log ]'
    kill -9 $(pidof gantry-executor) $command; wait $command
    until_true '[ -z "$(pidof criu)" ]'
    until_true '[ "$(cat /sys/fs/cgroup/pods/one/cgroup.freeze)" = 0 ]'
    counts; gantry-oci state c | grep status
    gantry-oci checkpoint --image-path img c || exit 97
    rm -f restore.log
    gantry-oci restore --detach --image-path img --work-path again c < /dev/null > out 2>&1 & command=$!
    until_true '[ -s again/restore.log ]'
    kill -9 $(pidof gantry-executor) $command; wait $command
    until_true '[ -z "$(pidof criu)" ]'
    gantry-oci delete --force c
    gone
    detached gantry-oci restore --image-path img
    counts; ended gantry-oci; gone`);
  assert.deepEqual(told, ['  "status": "running",', "nothing", "nothing"]);
});

for (const terminal of [false, true])
  for (const runtime of both)
    test(`${runtime}: conmon gets a restored container as its child, with ${terminal ? "its terminal" : "pipes"}`, {
      skip,
      timeout,
    }, async () => {
      const flag = terminal ? "--terminal" : "";
      const told = await script(
        `
        with_conmon() {
          rm -f pid exits/c; mkdir -p exits
          conmon --api-version 1 --cid c --cuuid c --name c --bundle /tmp/b --runtime $(command -v ${runtime}) \\
            --container-pidfile /tmp/b/pid --conmon-pidfile /tmp/b/conmon.pid --exit-dir /tmp/b/exits \\
            --socket-dir-path /tmp/b --persist-dir /tmp/b --log-path k8s-file:/tmp/b/log ${flag} "$@" > said 2>&1
          until_true '[ -s pid ] || [ -s exits/c ]'
          [ -s pid ] || { cat said *.log img/*.log | tail -40 >&2; exit 98; }
        }
        with_conmon; ${runtime} start c
        until_true '[ -s vol/n ]'
        ${runtime} checkpoint --image-path img c || exit 97
        until_true '[ -s exits/c ]'; cat exits/c; echo
        with_conmon --restore /tmp/b/img
        counts
        [ "$(cut -d ' ' -f 4 /proc/$(cat pid)/stat)" = "$(cat conmon.pid)" ] && echo child
        ${runtime} kill c TERM
        until_true '[ -s exits/c ]'; cat exits/c; echo
        tr -d '\\r' < log | cut -d ' ' -f 4 | grep -v -e time= -e '^$'
        ${runtime} delete c; gone`,
        { process: { terminal } },
        `trap "echo caught; exit 7" TERM; ${counting}`,
      );
      assert.deepEqual(told, ["137", "child", "7", "begun", "caught", "nothing"]);
    });
