/**
 * A virtual machine with Debian's user space on a pure cgroup v2 tree. Its first process is systemd, or busybox
 * alone; either way the same agent runs scripts, and /opt/gantry is a second disk made for the one boot.
 *
 *     await using vm = await bootDebian({ init: "systemd", tree });
 */
import { createHash } from "node:crypto";
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { command, must } from "../lib/command.ts";
import { once } from "../lib/fixtures.ts";
import { top } from "../lib/sandbox.ts";
import { guest, makeFileSystem, makeInitrd, putGuest } from "./disk.ts";
import { fetchKernel, type Kernel } from "./kernel.ts";
import { criuModules } from "./programs.ts";
import { type Machine, startQemu } from "./qemu.ts";

export interface DebianOptions {
  readonly init: "systemd" | "busybox";
  /** A folder that becomes /opt/gantry. */
  readonly tree: string;
  readonly memoryMb?: number;
}

const packages = [
  ...["systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "login", "uidmap", "passwd"],
  ...["bash", "dash", "coreutils", "util-linux", "mount", "kmod", "procps", "iproute2", "libc-bin"],
  ...[
    "grep",
    "sed",
    "findutils",
    "gawk",
    "busybox-static",
    "runc",
    "crun",
    "strace",
    "criu",
    "iptables",
    "tar",
    "gzip",
  ],
  "python3",
];

/** What others depend on for their installation alone. */
const leftOut = /^(perl|libperl|lib.*-perl$|usrmerge$|dpkg$|debconf$|adduser$|init-system-helpers$)/;

/** Units that nothing here needs, and that would make the start longer. */
const masked = [
  ...["systemd-udevd.service", "systemd-udev-trigger.service", "getty.target", "console-getty.service"],
  ...["systemd-timesyncd.service", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"],
  ...["systemd-random-seed.service", "systemd-firstboot.service", "systemd-sysusers.service"],
  ...["systemd-machine-id-commit.service", "systemd-binfmt.service", "systemd-journal-flush.service"],
  ...["systemd-network-generator.service", "systemd-networkd.service", "systemd-pstore.service"],
  ...["proc-sys-fs-binfmt_misc.automount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"],
  ...["sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "systemd-tmpfiles-clean.timer"],
  ...["e2scrub_reap.service", "e2scrub_all.timer", "fstrim.timer", "dpkg-db-backup.timer"],
  ...["systemd-ask-password-wall.path", "systemd-ask-password-console.path", "systemd-sysctl.service"],
  ...["cryptsetup.target", "integritysetup.target", "veritysetup.target", "systemd-remount-fs.service"],
  ...["systemd-modules-load.service", "kmod-static-nodes.service", "systemd-user-sessions.service"],
];

/** Boots; fails where no kernel or packages can be had, or when the machine does not come up. */
export async function bootDebian({ init, tree, memoryMb = 1536 }: DebianOptions): Promise<Machine> {
  const kernel = await fetchKernel();
  if (kernel === undefined) throw new Error("boot machine: no kernel, see above");
  const system = await systemDisk(kernel);
  const dir = mkdtempSync(join(tmpdir(), "gantry-vm-"));
  try {
    const initrd = await makeInitrd(dir, kernel);
    const disk = join(dir, "tree.ext4");
    await makeFileSystem(tree, disk, "2G");
    const first = init === "systemd" ? "/lib/systemd/systemd" : "/opt/guest/init";
    const quick = "systemd.show_status=0 systemd.unit=multi-user.target audit=0";
    return await startQemu({
      ...{ dir, kernel: kernel.image, initrd, disks: [system, disk], memoryMb },
      kernelArguments: `gantry_init=${first} ${quick}`,
    });
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

/** The disk with Debian on it, made once and again whenever what goes into it changes. */
async function systemDisk(kernel: Kernel): Promise<string> {
  const hash = createHash("sha256").update(kernel.image);
  for (const file of [...globSync("*", { cwd: guest }).sort(), "../debian.ts", "../disk.ts"])
    hash.update(readFileSync(join(guest, file)));
  const name = `debian-${hash.digest("hex").slice(0, 12)}.ext4`;
  return await once(join(top, "build/vm", name), async (temporary) => {
    const folder = join(top, "build/vm");
    for (const old of readdirSync(folder).filter((file) => /^debian-.*\.ext4$/.test(file)))
      rmSync(join(folder, old), { force: true });
    const tree = mkdtempSync(join(tmpdir(), "gantry-debian-"));
    try {
      await unpackPackages(tree, await fetchPackages());
      await putGuest(tree, kernel, criuModules);
      configure(tree);
      await must(["chown", "-R", "0:0", join(tree, "opt"), join(tree, "etc")]);
      await must(["chown", "1000:1000", join(tree, "home/user")]);
      await must(["chmod", "1777", join(tree, "tmp"), join(tree, "var/tmp")]);
      await makeFileSystem(tree, temporary, "1G");
    } finally {
      rmSync(tree, { recursive: true, force: true });
    }
  });
}

/** The packages with all that they depend on, as apt chooses them for a machine that has nothing yet. */
async function fetchPackages(): Promise<string> {
  const name = `debs-${createHash("sha256").update(packages.join(" ")).digest("hex").slice(0, 12)}`;
  return await once(join(top, "build/vm", name), async (temporary) => {
    for (const old of readdirSync(join(top, "build/vm")).filter((entry) =>
      /^debs(-[0-9a-f]{12})?$/.test(entry),
    ))
      rmSync(join(top, "build/vm", old), { recursive: true });
    mkdirSync(temporary, { recursive: true });
    const nothing = join(temporary, "status");
    writeFileSync(nothing, "");
    const ask = ["apt-get", "install", "--simulate", "--no-install-recommends"];
    const wanted = [...ask, "-o", `Dir::State::status=${nothing}`, ...packages];
    let listed = await command(wanted);
    if (listed.code !== 0) {
      await must(["apt-get", "update", "-q"], { timeoutMs: 120_000 });
      listed = await command(wanted);
    }
    const names = [...listed.stdout.matchAll(/^Inst (\S+)/gm)].map((match) => match[1]!);
    if (names.length === 0) throw new Error(`fetch Debian packages: ${listed.stderr}${listed.stdout}`);
    const download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download"];
    await must([...download, ...names.filter((name) => !leftOut.test(name))], {
      cwd: temporary,
      timeoutMs: 300_000,
    });
  });
}

async function unpackPackages(tree: string, debs: string): Promise<void> {
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(tree, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(tree, name));
  }
  const bulk = ["doc", "man", "locale", "info", "i18n"].map((name) => `--exclude=./usr/share/${name}/*`);
  const unpack = `dpkg-deb --fsys-tarfile "$0" | tar -C "$1" --keep-directory-symlink -xf - ${bulk.join(" ")}`;
  for (const file of readdirSync(debs).filter((name) => name.endsWith(".deb")))
    await must(["sh", "-c", unpack, join(debs, file), tree]);
}

/** What installation scripts and an administrator would have written. */
function configure(tree: string): void {
  const write = (path: string, text: string) => {
    mkdirSync(join(tree, dirname(path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  };
  const link = (path: string, target: string) => {
    mkdirSync(join(tree, dirname(path)), { recursive: true });
    rmSync(join(tree, path), { recursive: true, force: true });
    symlinkSync(target, join(tree, path));
  };
  for (const name of [
    "disk",
    "opt/gantry",
    "home/user",
    "root",
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/tmp",
  ])
    mkdirSync(join(tree, name), { recursive: true });
  write(
    "etc/passwd",
    [
      "root:x:0:0:root:/root:/bin/bash",
      "messagebus:x:101:101::/nonexistent:/usr/sbin/nologin",
      "user:x:1000:1000::/home/user:/bin/bash",
      "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin",
      "",
    ].join("\n"),
  );
  const groups = ["root:0", "adm:4", "tty:5", "disk:6", "kmem:15", "dialout:20", "cdrom:24", "tape:26"];
  groups.push("audio:29", "utmp:43", "video:44", "shadow:42", "systemd-journal:102", "messagebus:101");
  groups.push("input:103", "kvm:104", "render:105", "sgx:106", "user:1000", "nogroup:65534");
  write("etc/group", groups.map((line) => `${line.replace(":", ":x:")}:\n`).join(""));
  write("etc/shadow", "root:*:19000::::::\nuser:*:19000::::::\n");
  write("etc/subuid", "user:100000:65536\n");
  write("etc/subgid", "user:100000:65536\n");
  write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  write("etc/hostname", "gantry-vm\n");
  write("etc/fstab", "");
  write("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n");
  write("etc/inittab", readFileSync(join(guest, "inittab"), "utf8"));
  // a user's own systemd, without what a login would ask of PAM
  const permit = ["auth", "account", "password", "session"].map((kind) => `${kind} required pam_permit.so\n`);
  for (const name of ["systemd-user", "other"]) write(`etc/pam.d/${name}`, permit.join(""));
  const runtime = "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n";
  write("etc/systemd/system/user@.service.d/runtime.conf", runtime);
  write("etc/systemd/system/agent.service", readFileSync(join(guest, "agent.service"), "utf8"));
  link("etc/systemd/system/multi-user.target.wants/agent.service", "/etc/systemd/system/agent.service");
  for (const unit of masked) link(`etc/systemd/system/${unit}`, "/dev/null");
  link("opt/guest/init", "/usr/bin/busybox");
  link("usr/bin/awk", "gawk");
  for (const name of ["iptables", "ip6tables"])
    for (const verb of ["", "-save", "-restore"]) link(`usr/sbin/${name}${verb}`, "xtables-nft-multi");
  link("var/run", "/run");
}
