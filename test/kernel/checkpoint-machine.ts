/**
 * Checkpoint and restore in a virtual machine: a criu that is older than the kernel refuses to work, as Debian's does on
 * most machines. A script runs in a bundle of its own, with words for what all of them do; runc goes first in every
 * comparison.
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { compiled } from "../lib/compiled.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { bootMachine, type Machine, machineMissing } from "../vm/machine.ts";
import { criuModules, criuPrograms, programFiles } from "../vm/programs.ts";
import { type Json, merge } from "./bundle.ts";

/** What is checkpointed where a shell holds nothing of the kind; /bin/subject of each bundle. */
const subject = compiled("test/kernel/checkpoint-subject.c");

export const skip =
  machineMissing() || needs("root", gantryOciProgram, "runc", "conmon", ...criuPrograms, ...subject.needs);
export const timeout = 300_000;
let vm: Machine;

/** Once a file: boots the machine before its tests. */
export function useMachine(): void {
  before(async () => {
    if (skip) return;
    const files = await programFiles([...criuPrograms, "runc", "conmon"]);
    vm = await bootMachine({
      files: { ...files, "/usr/bin/subject": await subject.build() },
      modules: criuModules,
      memoryMb: 1536,
    });
  });
  after(async () => {
    await vm?.[Symbol.asyncDispose]();
  });
}

export type Runtime = "runc" | "gantry-oci";
export const both: readonly Runtime[] = ["runc", "gantry-oci"];
const quiet = ["nosuid", "noexec", "nodev"];
export const namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type }));

/** Counts in memory and shows it in a file of the bind mount, always of one length: criu compares sizes of open files. */
export const counting =
  "echo begun; echo kept > /dev/shm/kept; i=10000000; while true; do i=$((i+1)); echo $i > /vol/n; usleep 100000; done";

function config(args: readonly string[], patch: Json = {}): string {
  const base: Json = {
    ociVersion: "1.0.2",
    root: { path: "rootfs" },
    hostname: "testbox",
    process: {
      cwd: "/",
      args,
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
bundle() { # whatever a failed one before has left
	for runtime in runc gantry-oci; do for id in $($runtime list -q); do $runtime delete --force $id; done; done
	rm -rf b; mkdir -p b/rootfs b/vol b/img; tar -C b/rootfs -xf /opt/busybox.tar
	mkdir -p b/rootfs/tmp; cp /usr/bin/subject b/rootfs/bin/; echo one > b/single; cat > b/config.json
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

/** What the script printed. `program` is what the container runs: a text for its shell, or its words. */
export async function script(
  text: string,
  patch: Json = {},
  program: string | readonly string[] = counting,
): Promise<string[]> {
  const args = typeof program === "string" ? ["sh", "-c", program] : program;
  const { code, stdout, stderr } = await vm.run(
    `${words}\nbundle <<'CONFIG'\n${config(args, patch)}\nCONFIG\n${text}`,
    { timeoutMs: 200_000 },
  );
  assert.equal(code, 0, `${stderr}${stdout}\n${vm.console().slice(-500)}`);
  return stdout.trimEnd().split("\n");
}
