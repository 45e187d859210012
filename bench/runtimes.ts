/** The OCI runtimes side by side, and bundles for them. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { dockerSeccompPolicy } from "../src/linux/seccomp/docker-profile.ts";
import { must } from "../test/lib/command.ts";
import { busyboxTar } from "../test/lib/fixtures.ts";
import { programPath } from "../test/lib/needs.ts";
import { gantryOciProgram } from "../test/lib/sandbox.ts";
import { hugetlbAsV1 } from "./peers/peer.ts";
import type { Setting } from "./setting.ts";

export interface Runtime {
  readonly name: string;
  readonly program: string;
  /** A state directory of its own in memory, as /run is. */
  readonly root: string;
  /** The program with that directory. */
  readonly argv: readonly string[];
}

/** Those that this machine has; ready until the setting ends. */
export async function openRuntimes(setting: Setting): Promise<readonly Runtime[]> {
  const programs = { "gantry-oci": gantryOciProgram, crun: programPath("crun"), runc: programPath("runc") };
  try {
    setting.use(await hugetlbAsV1());
  } catch (error) {
    console.error(`crun does not take part: ${error instanceof Error ? error.message : error}`);
    programs.crun = undefined;
  }
  return Object.entries(programs).flatMap(([name, program]) => {
    if (program === undefined || !existsSync(program)) return [];
    const root = join(setting.volatile, `state-${name}`);
    return [{ name, program, root, argv: [program, "--root", root] }];
  });
}

const capabilities = [
  ...["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"],
  ...["NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"],
].map((name) => `CAP_${name}`);

const quiet = ["nosuid", "noexec", "nodev"];

/** Much as `runc spec` writes it, in a version of the specification that all of them know. */
function baseConfig(args: readonly string[]) {
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/bin", "HOME=/"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: "../rootfs" },
    hostname: "bench",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: [...quiet, "mode=1777", "size=65536k"],
      },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
    ] as object[],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
      maskedPaths: [
        "/proc/acpi",
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/scsi",
        "/sys/firmware",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    } as Record<string, unknown>,
  };
}

type Config = ReturnType<typeof baseConfig>;

const mountCount = 40;
const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

/** What is measured: a plain container, and what makes containers slow. */
export const variants: Readonly<Record<string, (config: Config, dir: string) => void>> = {
  plain() {},
  "with Docker's seccomp profile"({ linux }) {
    const architecture = process.arch === "arm64" ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64";
    linux.seccomp = dockerSeccompPolicy({ capabilities, architecture, kernel: release() });
  },
  "with a user namespace"({ linux }) {
    Object.assign(linux, {
      uidMappings: ids,
      gidMappings: ids,
      namespaces: [...(linux.namespaces as object[]), { type: "user" }],
    });
  },
  [`with ${mountCount} mounts`](config, source) {
    for (let i = 0; i < mountCount; i++)
      config.mounts.push({
        destination: `/m/${i}`,
        type: "bind",
        source,
        options: ["rbind", "ro", "nosuid"],
      });
  },
};

/** A bundle beside a root file system that all share; its path. */
export async function makeBundle(
  setting: Setting,
  name: string,
  args: readonly string[],
  change: (config: Config, dir: string) => void,
): Promise<string> {
  const rootfs = join(setting.dir, "rootfs");
  if (!existsSync(rootfs)) {
    // root of a user namespace must get through to it
    chmodSync(setting.dir, 0o755);
    mkdirSync(rootfs);
    await must(["tar", "-C", rootfs, "-xf", await busyboxTar()]);
    chmodSync(rootfs, 0o755);
    // root of a user namespace cannot make what is missing in a folder of ours
    const points = ["proc", "dev", "sys", ...Array.from({ length: mountCount }, (_, i) => `m/${i}`)];
    for (const point of points) mkdirSync(join(rootfs, point), { recursive: true });
  }
  const bundle = join(setting.dir, name.replaceAll(/[^a-z0-9]+/g, "-"));
  const config = baseConfig(args);
  mkdirSync(bundle, { recursive: true });
  const source = join(setting.dir, "source");
  mkdirSync(source, { recursive: true });
  change(config, source);
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  return bundle;
}
