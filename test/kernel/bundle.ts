/**
 * Bundles made of a static busybox, run by gantry-oci and, as the reference, by Debian's runc: a case
 * that fails with both is a bad test, one that fails with ours alone is a bug.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../../src/base/remove-tree.ts";
import { type CommandOptions, command, type Outcome } from "../lib/command.ts";
import { needs, programPath, skipped } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { patience } from "../lib/until.ts";

export type Json = Readonly<Record<string, unknown>>;

const busybox = "/bin/busybox";
const applets =
  "sh true false cat echo id ls mount hostname sleep env pwd stat touch mkdir readlink grep ulimit dd kill wc sort head tail test ip dmesg nice ps stty tty cut umount";

/**
 * Whether Debian's crun runs here: it refuses a hybrid machine whose v2 tree has a controller, which hugetlb is
 * unless it is mounted as v1.
 */
export const hasCrun =
  programPath("crun") !== undefined && !/./.test(readIfThere("/sys/fs/cgroup/unified/cgroup.controllers"));

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** Reason to skip, or false. */
export const unready = needs("root", busybox, "runc", gantryOciProgram);

const capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
const quiet = ["nosuid", "noexec", "nodev"];

/** A config much as `runc spec` writes it. */
function baseConfig(script: string): Json {
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["sh", "-c", script],
      env: ["PATH=/bin"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    root: { path: "rootfs" },
    hostname: "testbox",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: [...quiet, "mode=1777", "size=65536k"],
      },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
    ],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: [{ type: "pid" }, { type: "network" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }],
    },
  };
}

/** Deep, but arrays and null replace. */
export function merge(base: Json, patch: Json): Json {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch))
    result[key] =
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? merge((result[key] ?? {}) as Json, value as Json)
        : value;
  return result;
}

export interface Runtime {
  readonly name: "gantry-oci" | "runc" | "crun";
  readonly program: string;
  /** For --root. */
  readonly root: string;
  /** The program and its global flags. */
  readonly argv: readonly [string, ...string[]];
  /** Runs a verb to its end. */
  call(args: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Starts a verb and leaves it running. */
  spawn(args: readonly string[]): ChildProcess;
}

export interface Bundle {
  readonly path: string;
  readonly rootfs: string;
  /** A folder for files of the test, outside of the root file system. */
  readonly files: string;
  readonly config: Json;
}

const callMs = 20_000 * patience;

let counter = 0;

/** A name that no other container on the machine has: both runtimes make cgroups of it. */
export function containerId(): string {
  return `gantrytest-${process.pid}-${++counter}`;
}

/** A whole container that ends, with its cgroup and what that has counted, may be gone before anybody can look. */
export const cgroupVanishes = () =>
  process.env.GANTRY_TEST_CGROUPS === "systemd" &&
  skipped("systemd takes a cgroup away as soon as it is empty, and its count with it");

/** Global flags that say who makes the cgroups: on a machine whose first process is systemd both ways are tried. */
const driver = process.env.GANTRY_TEST_CGROUPS === "systemd" ? ["--systemd-cgroup"] : [];

/** A value of linux.cgroupsPath in the form that these flags want. */
export function cgroupsPathFor(id: string): string {
  return driver.length > 0 ? `:gantrytest:${id}` : `/${id}`;
}

function runtimeAt(name: Runtime["name"], dir: string): Runtime {
  const program = name === "gantry-oci" ? gantryOciProgram : programPath(name)!;
  const root = join(dir, `${name}-root`);
  const global = ["--root", root, ...driver];
  return {
    name,
    program,
    root,
    argv: [program, ...global],
    call: (args, options) => command([program, ...global, ...args], { timeoutMs: callMs, ...options }),
    spawn: (args) => spawn(program, [...global, ...args], { stdio: "ignore" }),
  };
}

/** Makes a bundle with `config` patched, hands it over with a runtime, and removes it. */
export async function withBundle<T>(
  name: Runtime["name"],
  script: string,
  patch: Json | ((files: string) => Json),
  body: (runtime: Runtime, bundle: Bundle) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "gantry-kernel-"));
  // root of a user namespace must get through to the root file system
  chmodSync(dir, 0o755);
  const path = join(dir, "bundle");
  const rootfs = join(path, "rootfs");
  const files = join(dir, "files");
  const runtime = runtimeAt(name, dir);
  try {
    for (const folder of ["bin", "proc", "dev", "sys", "etc", "tmp", "root"])
      mkdirSync(join(rootfs, folder), { recursive: true });
    chmodSync(join(rootfs, "root"), 0o710);
    mkdirSync(files);
    cpSync(busybox, join(rootfs, "bin/busybox"));
    for (const applet of applets.split(" ")) symlinkSync("busybox", join(rootfs, "bin", applet));
    writeFileSync(
      join(rootfs, "etc/passwd"),
      "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n",
    );
    writeFileSync(join(rootfs, "etc/group"), "root:x:0:\n");
    const config = merge(baseConfig(script), typeof patch === "function" ? patch(files) : patch);
    writeFileSync(join(path, "config.json"), JSON.stringify(config));
    try {
      return await body(runtime, { path, rootfs, files, config });
    } finally {
      for (const id of containersBelow(runtime.root)) await runtime.call(["delete", "--force", id]);
    }
  } finally {
    removeTree(dir);
  }
}

/** Every runtime keeps a directory for each container: asking `list` costs as much as a start. */
function containersBelow(root: string): readonly string[] {
  return existsSync(root) ? readdirSync(root).filter((name) => !name.startsWith(".")) : [];
}

/** `run` in the foreground. */
export async function runOnce(
  name: Runtime["name"],
  script: string,
  patch: Json | ((files: string) => Json),
): Promise<Outcome> {
  return await withBundle(name, script, patch, async (runtime, bundle) => {
    const outcome = await runtime.call(["run", "--bundle", bundle.path, containerId()]);
    return { ...outcome, stderr: outcome.stderr.replaceAll(bundle.path, "BUNDLE") };
  });
}

/** Controllers' files, wherever this machine mounts them: as the shell in the container finds its own. */
export function ownCgroupFile(controller: string, v1File: string, v2File: string): string {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const v1 = mounts.some(
    (line) => / - cgroup /.test(line) && line.split(" ").at(-1)!.split(",").includes(controller),
  );
  return v1 ? `/sys/fs/cgroup/${controller}/${v1File}` : `/sys/fs/cgroup/${v2File}`;
}
