/** Debian's cloud kernel, fetched once with apt and kept below build/vm/. */
import { copyFileSync, globSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { command, must } from "../lib/command.ts";
import { once } from "../lib/fixtures.ts";
import { top } from "../lib/sandbox.ts";

export interface Kernel {
  readonly image: string;
  /** Path of a module file by the module's name. */
  readonly modules: ReadonlyMap<string, string>;
}

const metaPackage = "linux-image-cloud-amd64";

/** Undefined where apt does not hand the kernel out. */
export async function fetchKernel(): Promise<Kernel | undefined> {
  let dir: string;
  try {
    dir = await once(join(top, "build/vm/kernel"), unpackKernel);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  }
  const image = readdirSync(dir).find((name) => name.startsWith("vmlinu"));
  const files = globSync("lib/modules/**/*.ko", { cwd: dir });
  const modules = new Map(files.map((file) => [moduleName(basename(file, ".ko")), join(dir, file)]));
  return { image: join(dir, image ?? "vmlinuz"), modules };
}

async function unpackKernel(dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const depends = () => command(["apt-cache", "depends", metaPackage]);
  let listed = await depends();
  if (listed.code !== 0 || listed.stdout.trim() === "") {
    await must(["apt-get", "update", "-q"], { timeoutMs: 120_000 });
    listed = await depends();
  }
  const name = /Depends: (linux-image-\S+)/.exec(listed.stdout)?.[1];
  if (name === undefined) throw new Error(`fetch kernel: apt does not know ${metaPackage}`);
  const download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name];
  await must(download, { cwd: dir, timeoutMs: 300_000 });
  const deb = readdirSync(dir).find((file) => file.endsWith(".deb"));
  await must(["dpkg-deb", "--extract", join(dir, deb ?? ""), dir]);
  const image = readdirSync(join(dir, "boot")).find((file) => file.startsWith("vmlinu"));
  copyFileSync(join(dir, "boot", image ?? "vmlinuz"), join(dir, "vmlinuz"));
}

/** The module files that `names` need, those needed first coming first. What is built in has no file. */
export function moduleFiles(kernel: Kernel, names: readonly string[]): string[] {
  const order: string[] = [];
  const add = (name: string) => {
    const file = kernel.modules.get(moduleName(name));
    if (file === undefined || order.includes(file)) return;
    for (const needed of dependencies(file)) add(needed);
    order.push(file);
  };
  for (const name of names) add(name);
  return order;
}

/** A module file names what it needs in its .modinfo section: "depends=a,b" between two zero bytes. */
function dependencies(file: string): string[] {
  const bytes = readFileSync(file);
  const start = bytes.indexOf("\0depends=");
  if (start < 0) return [];
  const end = bytes.indexOf(0, start + 1);
  return bytes
    .toString("latin1", start + 9, end)
    .split(",")
    .filter(Boolean);
}

/** Files are called overlay.ko or crc32c-intel.ko, modules crc32c_intel. */
function moduleName(name: string): string {
  return name.replaceAll("-", "_");
}
