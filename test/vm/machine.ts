/**
 * A virtual machine with a pure cgroup v2 tree, every controller and nothing else in it: busybox, Gantry as it
 * is built, and an agent that runs scripts. qemu emulates the processor, so it needs no help of the machine.
 *
 *     await using vm = await bootMachine();
 *     const { code, stdout } = await vm.run("cat /sys/fs/cgroup/cgroup.controllers");
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { busyboxTar, makeBusyboxTree } from "../lib/fixtures.ts";
import { needs, skipped } from "../lib/needs.ts";
import { top } from "../lib/sandbox.ts";
import { guest, librariesOf, makeFileSystem, makeInitrd, putGuest } from "./disk.ts";
import { fetchKernel, type Kernel } from "./kernel.ts";
import { type Machine, startQemu } from "./qemu.ts";
import { remedy } from "./stale-code.ts";

export type { Machine } from "./qemu.ts";

export interface MachineOptions {
  readonly memoryMb?: number;
  /** More for the kernel's command line. */
  readonly kernelArguments?: string;
  /** More files for the disk: absolute path there, path here. */
  readonly files?: Readonly<Record<string, string>>;
  /** More kernel modules to load. */
  readonly modules?: readonly string[];
}

const programs = ["gantry", "gantry-program", "gantry-executor"].map((name) => join(top, "dist", name));

/** Why no machine can be booted here, or false. */
export function machineMissing(): string | false {
  if (process.arch !== "x64") return skipped("the virtual machine needs an x86-64 host");
  return needs("qemu-system-x86_64", "cpio", "mke2fs", "apt-get", "/bin/busybox", ...remedy.needs);
}

/** Boots; fails where no kernel can be had, or when the machine does not come up. */
export async function bootMachine(options: MachineOptions = {}): Promise<Machine> {
  const kernel = await fetchKernel();
  if (kernel === undefined) throw new Error("boot machine: no kernel, see above");
  const dir = mkdtempSync(join(tmpdir(), "gantry-vm-"));
  try {
    const initrd = await makeInitrd(dir, kernel);
    const disk = await makeDisk(dir, kernel, options);
    return await startQemu({
      dir,
      kernel: kernel.image,
      initrd,
      disks: [disk],
      memoryMb: options.memoryMb ?? 1024,
      kernelArguments: options.kernelArguments ?? "",
    });
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

async function makeDisk(
  dir: string,
  kernel: Kernel,
  { files = {}, modules: more = [] }: MachineOptions,
): Promise<string> {
  const tree = join(dir, "tree");
  mkdirSync(tree);
  await makeBusyboxTree(tree);
  const put = (from: string, to: string) => {
    mkdirSync(join(tree, to, ".."), { recursive: true });
    copyFileSync(from, join(tree, to));
  };
  for (const name of ["disk", "run", "opt/gantry", "var/lib"]) {
    mkdirSync(join(tree, name), { recursive: true });
  }
  await putGuest(tree, kernel, more);
  put(join(guest, "inittab"), "etc/inittab");
  for (const program of programs.filter((path) => existsSync(path))) {
    put(program, `opt/gantry/${basename(program)}`);
    for (const library of await librariesOf(program)) put(library, library);
  }
  symlinkSync("gantry", join(tree, "opt/gantry/gantry-oci"));
  put(await busyboxTar(), "opt/busybox.tar");
  for (const [to, from] of Object.entries(files)) put(from, to);
  const disk = join(dir, "disk.ext4");
  await makeFileSystem(tree, disk, "2G");
  rmSync(tree, { recursive: true });
  return disk;
}
