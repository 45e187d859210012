/**
 * A virtual machine with a pure cgroup v2 tree, every controller and nothing else in it: busybox, Gantry as it
 * is built, and an agent that runs scripts. qemu emulates the processor, so it needs no help of the machine.
 *
 *     await using vm = await bootMachine();
 *     const { code, stdout } = await vm.run("cat /sys/fs/cgroup/cgroup.controllers");
 */
import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { command, must, type Outcome } from "../lib/command.ts";
import { busyboxTar, makeBusyboxTree } from "../lib/fixtures.ts";
import { needs, skipped } from "../lib/needs.ts";
import { top } from "../lib/sandbox.ts";
import { fetchKernel, type Kernel, moduleFiles } from "./kernel.ts";

export interface Machine extends AsyncDisposable {
  /** Runs a shell script in the machine. PATH holds gantry, gantry-oci and busybox's commands. */
  run(script: string, options?: { timeoutMs?: number }): Promise<Outcome>;
  /** What the kernel has printed so far. */
  console(): string;
}

export interface MachineOptions {
  readonly memoryMb?: number;
  /** More for the kernel's command line. */
  readonly kernelArguments?: string;
  /** More files for the disk: absolute path there, path here. */
  readonly files?: Readonly<Record<string, string>>;
}

const guest = join(import.meta.dirname, "guest");
const programs = ["gantry", "gantry-program", "gantry-executor"].map((name) => join(top, "dist", name));

/** Why no machine can be booted here, or false. */
export function machineMissing(): string | false {
  if (process.arch !== "x64") return skipped("the virtual machine needs an x86-64 host");
  return needs("qemu-system-x86_64", "cpio", "mke2fs", "apt-get", "/bin/busybox");
}

/** Boots; fails where no kernel can be had, or when the machine is not up after two minutes. */
export async function bootMachine(options: MachineOptions = {}): Promise<Machine> {
  const kernel = await fetchKernel();
  if (kernel === undefined) throw new Error("boot machine: no kernel, see above");
  const dir = mkdtempSync(join(tmpdir(), "gantry-vm-"));
  try {
    const initrd = await makeInitrd(dir, kernel);
    const disk = await makeDisk(dir, kernel, options.files ?? {});
    return await start(dir, kernel.image, initrd, disk, options);
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

async function makeInitrd(dir: string, kernel: Kernel): Promise<string> {
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

async function makeDisk(
  dir: string,
  kernel: Kernel,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const tree = join(dir, "tree");
  mkdirSync(tree);
  await makeBusyboxTree(tree);
  const put = (from: string, to: string) => {
    mkdirSync(join(tree, to, ".."), { recursive: true });
    copyFileSync(from, join(tree, to));
  };
  for (const name of ["disk", "run", "opt/gantry", "lib/modules", "var/lib"]) {
    mkdirSync(join(tree, name), { recursive: true });
  }
  const modules = moduleFiles(kernel, ["overlay", "veth", "bridge", "tun"]);
  for (const file of modules) put(file, `lib/modules/${basename(file)}`);
  writeFileSync(join(tree, "etc/modules"), modules.map((file) => `${basename(file)}\n`).join(""));
  put(join(guest, "boot"), "etc/boot");
  put(join(guest, "agent"), "bin/agent");
  put(join(guest, "inittab"), "etc/inittab");
  await must(["chmod", "+x", join(tree, "etc/boot"), join(tree, "bin/agent")]);
  for (const program of programs.filter((path) => existsSync(path))) {
    put(program, `opt/gantry/${basename(program)}`);
    for (const library of await librariesOf(program)) put(library, library);
  }
  symlinkSync("gantry", join(tree, "opt/gantry/gantry-oci"));
  put(await busyboxTar(), "opt/busybox.tar");
  for (const [to, from] of Object.entries(files)) put(from, to);
  const disk = join(dir, "disk.ext4");
  // No journal: the disk is thrown away. The size is what a sparse file may grow to.
  await must(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk, "2G"], {
    timeoutMs: 120_000,
  });
  rmSync(tree, { recursive: true });
  return disk;
}

/** The shared libraries of a program, with its loader, by the paths under which it looks for them. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await command(["ldd", program]);
  return [...stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map((match) => match[1]!);
}

async function start(
  dir: string,
  image: string,
  initrd: string,
  disk: string,
  options: MachineOptions,
): Promise<Machine> {
  const consoleLog = join(dir, "console.log");
  const argv = [
    ...["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"],
    ...["-m", String(options.memoryMb ?? 1024), "-nodefaults", "-display", "none", "-no-reboot"],
    ...["-serial", `file:${consoleLog}`, "-serial", "stdio"],
    ...["-drive", `file=${disk},if=virtio,format=raw,cache=unsafe`],
    ...["-kernel", image, "-initrd", initrd],
    ...["-append", `console=ttyS0 panic=-1 quiet ${options.kernelArguments ?? ""}`.trim()],
  ];
  const qemu = spawn("qemu-system-x86_64", argv, { stdio: ["pipe", "pipe", "pipe"] });
  let complaint = "";
  qemu.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const printed = () => (existsSync(consoleLog) ? readFileSync(consoleLog, "utf8") : "");
  const waiting = new Map<string, (line: string) => void>();
  const exited = new Promise<void>((resolve) => {
    qemu.on("exit", () => resolve());
    qemu.on("error", (error) => {
      complaint += error.message;
      resolve();
    });
  });
  createInterface({ input: qemu.stdout }).on("line", (line) => {
    const id = line.trim().split(" ")[0] ?? "";
    waiting.get(id)?.(line.trim());
    waiting.delete(id);
  });

  const answer = async (id: string, timeoutMs: number): Promise<string> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = (why: string) => reject(new Error(`${why}\n${complaint}${printed().slice(-3000)}`));
      timer = setTimeout(() => fail(`the virtual machine is silent after ${timeoutMs} ms`), timeoutMs);
      void exited.then(() => fail("the virtual machine ended"));
    });
    try {
      return await Promise.race([new Promise<string>((resolve) => waiting.set(id, resolve)), late]);
    } finally {
      clearTimeout(timer);
    }
  };
  const stop = async () => {
    // Everything in it is thrown away: there is nothing to shut down.
    qemu.kill("SIGKILL");
    await exited;
    rmSync(dir, { recursive: true, force: true });
  };

  try {
    await answer("ready", 120_000);
  } catch (error) {
    await stop();
    throw error;
  }
  let count = 0;
  return {
    async run(script, { timeoutMs = 60_000 } = {}) {
      const id = String(++count);
      const started = performance.now();
      const reply = answer(id, timeoutMs);
      qemu.stdin.write(`${id} ${Buffer.from(script).toString("base64")}\n`);
      const [, code, out = "", err = ""] = (await reply).split(" ");
      const text = (part: string) => Buffer.from(part.slice(1), "base64").toString();
      return { code: Number(code), stdout: text(out), stderr: text(err), ms: performance.now() - started };
    },
    console: printed,
    [Symbol.asyncDispose]: stop,
  };
}
