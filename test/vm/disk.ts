/** Disks and the initial RAM disk of the virtual machines. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { command, must } from "../lib/command.ts";
import { type Kernel, moduleFiles } from "./kernel.ts";

export const guest = join(import.meta.dirname, "guest");

/** What every machine loads once its disk is there. */
const laterModules = ["overlay", "veth", "bridge", "tun", "fuse"];

/** Makes DIR/initrd.cpio: it finds the first disk and hands over to `gantry_init` of the kernel's command line. */
export async function makeInitrd(dir: string, kernel: Kernel): Promise<string> {
  const tree = join(dir, "initrd");
  for (const name of ["bin", "lib", "proc", "dev", "disk"]) mkdirSync(join(tree, name), { recursive: true });
  copyFileSync("/bin/busybox", join(tree, "bin/busybox"));
  for (const name of ["sh", "mount", "umount", "insmod", "sleep", "switch_root"]) {
    copyFileSync("/bin/busybox", join(tree, "bin", name));
  }
  const files = moduleFiles(kernel, ["virtio_pci", "virtio_blk", "ext4"]);
  for (const file of files) copyFileSync(file, join(tree, "lib", basename(file)));
  writeFileSync(join(tree, "modules"), files.map((file) => `${basename(file)}\n`).join(""));
  copyFileSync(join(guest, "init"), join(tree, "init"));
  await must(["chmod", "+x", join(tree, "init")]);
  const initrd = join(dir, "initrd.cpio");
  await must(["sh", "-c", `cd "$1" && find . | cpio --quiet -o -H newc > "$2"`, "sh", tree, initrd]);
  return initrd;
}

/** Puts the agent, what makes a machine ready, and the kernel's modules into the tree of a disk. */
export async function putGuest(tree: string, kernel: Kernel, more: readonly string[] = []): Promise<void> {
  for (const name of ["etc", "opt/guest/modules"]) mkdirSync(join(tree, name), { recursive: true });
  const modules = moduleFiles(kernel, [...laterModules, ...more]);
  for (const file of modules) copyFileSync(file, join(tree, "opt/guest/modules", basename(file)));
  writeFileSync(join(tree, "opt/guest/modules/order"), modules.map((file) => `${basename(file)}\n`).join(""));
  for (const name of ["boot", "agent", "prepare"]) {
    copyFileSync(join(guest, name), join(tree, "opt/guest", name));
    await must(["chmod", "+x", join(tree, "opt/guest", name)]);
  }
}

/** Makes a file system of the tree. No journal: the disk is thrown away. `size` is what a sparse file may grow to. */
export async function makeFileSystem(tree: string, disk: string, size: string): Promise<void> {
  await must(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk, size], {
    timeoutMs: 120_000,
  });
}

/** The shared libraries of a program, with its loader, by the paths under which it looks for them. */
export async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await command(["ldd", program]);
  return [...stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map((match) => match[1]!);
}
