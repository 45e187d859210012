/**
 * The images that the tests run and move, made from what Debian ships: no image is downloaded. Everything is
 * made once, below build/fixtures/, and is the same bytes each time on the same machine.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { command, must } from "./command.ts";
import { compressFile, type ImageSource, type LayerSource, writeLayout } from "./oci-layout.ts";
import { top } from "./sandbox.ts";
import { until } from "./until.ts";

export const fixtures = join(top, "build/fixtures");

/** Tar flags under which the same tree always gives the same bytes. */
export const sameBytes = [
  ...["--sort=name", "--mtime=@1704067200", "--owner=0", "--group=0", "--numeric-owner", "--format=pax"],
  "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
];

/**
 * Makes `path` once, whoever asks first: `make` writes to a temporary name beside it, which becomes the fixture
 * only when it is whole. Processes that ask at the same time wait for each other.
 */
export async function once(path: string, make: (temporary: string) => Promise<void>): Promise<string> {
  if (existsSync(path)) return path;
  mkdirSync(join(path, ".."), { recursive: true });
  const lock = `${path}.lock`;
  if ((await until(`${lock} to go`, () => madeOrLocked(path, lock), 300_000)) === "made") return path;
  const temporary = `${path}.part`;
  try {
    rmSync(temporary, { recursive: true, force: true });
    await make(temporary);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(lock, { force: true });
  }
  return path;
}

function madeOrLocked(path: string, lock: string): "made" | "locked" | undefined {
  if (existsSync(path)) return "made";
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return "locked";
  } catch {
    // A maker that was killed cannot take its lock away.
    const maker = existsSync(lock) ? readFileSync(lock, "utf8") : "";
    if (maker !== "" && !existsSync(`/proc/${maker}`)) rmSync(lock, { force: true });
    return undefined;
  }
}

/** Path of a root file system tar: static busybox with all its commands, /etc/passwd, the usual folders. */
export function busyboxTar(): Promise<string> {
  return once(join(fixtures, "busybox.tar"), async (temporary) => {
    const tree = mkdtempSync(join(fixtures, "tree-"));
    try {
      await makeBusyboxTree(tree);
      await must(["tar", "-C", tree, ...sameBytes, "-cf", temporary, "."]);
    } finally {
      rmSync(tree, { recursive: true, force: true });
    }
  });
}

let busyboxApplets: Promise<string> | undefined;

/** Fills `tree` with the busybox root file system. */
export async function makeBusyboxTree(tree: string): Promise<void> {
  for (const dir of ["bin", "etc", "root", "proc", "sys", "dev", "tmp", "var/run", "home/user"]) {
    mkdirSync(join(tree, dir), { recursive: true });
  }
  chmodSync(join(tree, "tmp"), 0o1777);
  chmodSync(join(tree, "root"), 0o700);
  copyFileSync("/bin/busybox", join(tree, "bin/busybox"));
  busyboxApplets ??= must(["/bin/busybox", "--list"]);
  const applets = (await busyboxApplets).split("\n").filter((name) => name && name !== "busybox");
  for (const applet of applets) symlinkSync("busybox", join(tree, "bin", applet));
  writeFileSync(
    join(tree, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
  );
  writeFileSync(join(tree, "etc/group"), "root:x:0:\nuser:x:1000:\nwheel:x:10:user\n");
}

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Path of an OCI layout with the busybox image under the tag "latest": one gzip layer, command "sh". */
export function busyboxLayout(): Promise<string> {
  return once(join(fixtures, "busybox-layout"), async (temporary) => {
    const layers: LayerSource[] = [{ tar: await busyboxTar(), compression: "gzip" }];
    await writeLayout(temporary, "latest", [{ layers, config: { Env: [path], Cmd: ["sh"] } }]);
  });
}

/** The packages of the Debian image, a layer each group; the first is complete enough to run bash. */
const debianLayers = [
  ["base-files", "libc6", "libgcc-s1", "gcc-12-base", "libtinfo6", "bash", "dash"],
  ["libacl1", "libattr1", "libselinux1", "libpcre2-8-0", "libgmp10", "coreutils", "libmd0", "libcrypt1"],
  ["tzdata", "hostname", "grep", "sed", "tar", "gzip", "findutils", "ncurses-bin"],
] as const;

/**
 * Path of an OCI layout under the tag "latest" whose layers are Debian packages, one layer each compressed with
 * gzip, zstd and not at all; its command is bash. Undefined where the packages cannot be had.
 */
export async function debianLayout(): Promise<string | undefined> {
  const made = join(fixtures, "debian-layout");
  if (existsSync(made)) return made;
  const debs = join(fixtures, "debs");
  mkdirSync(debs, { recursive: true });
  const wanted = debianLayers.flat();
  const have = () => new Set(readdirSync(debs).map((name) => name.split("_")[0]));
  const missing = wanted.filter((name) => !have().has(name));
  // apt drops root for the download and says so when it cannot; the folder is ours, so it need not.
  const download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", ...missing];
  if (missing.length > 0 && (await command(download, { cwd: debs, timeoutMs: 120_000 })).code !== 0)
    return undefined;
  return await once(made, async (temporary) => {
    const compressions = ["gzip", "zstd", "none"] as const;
    const layers: LayerSource[] = [];
    for (const [index, names] of debianLayers.entries()) {
      const tar = join(fixtures, `debian-${index}.tar`);
      await packagesTar(names, debs, tar);
      layers.push({ tar, compression: compressions[index]! });
    }
    await writeLayout(temporary, "latest", [{ layers, config: { Env: [path], Cmd: ["bash"] } }]);
  });
}

async function packagesTar(names: readonly string[], debs: string, tar: string): Promise<void> {
  const tree = mkdtempSync(join(fixtures, "tree-"));
  try {
    for (const name of names) {
      const file = readdirSync(debs).find((entry) => entry.startsWith(`${name}_`));
      await must(["dpkg-deb", "--extract", join(debs, file ?? name), tree]);
    }
    await must(["tar", "-C", tree, ...sameBytes, "-cf", tar, "."]);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

export interface BigImageOptions {
  readonly sizeBytes: number;
  readonly files: number;
  readonly layers: number;
}

/** What a test of size asks for: more than 500 MB unpacked, in several layers. */
export const bigEnough: BigImageOptions = { sizeBytes: 520e6, files: 12_000, layers: 5 };

/**
 * Path of an OCI layout under the tag "latest" made of the machine's own /usr:
 * `layers` gzip layers with about `files` regular files of about `sizeBytes` in all, over a busybox layer that
 * counts as the first. Where the machine holds too little, it is packed again under another name.
 */
export function bigLayout(options: BigImageOptions = bigEnough): Promise<string> {
  const name = `big-${Math.round(options.sizeBytes / 1e6)}m-${options.files}-${options.layers}`;
  return once(join(fixtures, name), async (temporary) => {
    const work = mkdtempSync(join(fixtures, "big-"));
    try {
      const parts = chooseFiles(await machineFiles(), options);
      const base: LayerSource = { tar: await busyboxTar(), compression: "gzip" };
      const rest = await inPairs(parts, (files, index) => packPart(work, files, index));
      const image: ImageSource = { layers: [base, ...rest], config: { Env: [path], Cmd: ["sh"] } };
      await writeLayout(temporary, "latest", [image]);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}

interface MachineFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** Regular files of the machine, in a fixed order. */
async function machineFiles(): Promise<MachineFile[]> {
  const roots = [
    "/usr/lib",
    "/usr/share",
    "/usr/bin",
    "/usr/sbin",
    "/usr/include",
    "/usr/libexec",
    "/usr/local",
  ];
  const print = ["-xdev", "-type", "f", "-size", "-200M", "-printf", "%s %p\\0"];
  const present = roots.filter((dir) => existsSync(dir));
  const found = await must(["find", ...present, ...print]);
  return found
    .split("\0")
    .filter(Boolean)
    .map((line) => ({ path: line.slice(line.indexOf(" ") + 1), sizeBytes: Number.parseInt(line, 10) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The files of one layer, by the prefix under which they stand: later rounds over the same files get their own. */
type Part = Map<string, string[]>;

/** Deals the files out to layers of about equal size, choosing so that size and number both come near. */
function chooseFiles(all: readonly MachineFile[], options: BigImageOptions): Part[] {
  const parts: Part[] = Array.from({ length: options.layers - 1 }, () => new Map());
  const meanBytes = options.sizeBytes / options.files;
  let [bytes, count] = [0, 0];
  for (let round = 0; bytes < options.sizeBytes; round++) {
    if (round > 50) throw new Error("make big image: the machine holds too few files");
    const prefix = round === 0 ? "" : `again${round}/`;
    for (const file of all) {
      if (bytes >= options.sizeBytes) break;
      // A file that takes the mean further away from the one asked for waits for a later round.
      const mean = count === 0 ? meanBytes : bytes / count;
      const small = file.sizeBytes < meanBytes;
      if (round < 2 && ((small && mean < meanBytes) || (!small && mean > meanBytes))) continue;
      const part = parts[Math.min(parts.length - 1, Math.floor((bytes / options.sizeBytes) * parts.length))]!;
      const files = part.get(prefix);
      if (files) files.push(file.path);
      else part.set(prefix, [file.path]);
      bytes += file.sizeBytes;
      count++;
    }
  }
  return parts;
}

async function packPart(work: string, part: Part, index: number): Promise<LayerSource> {
  const tar = join(work, `${index}.tar`);
  let mode = "--create";
  for (const [prefix, files] of part) {
    const list = join(work, `${index}.list`);
    writeFileSync(list, files.map((file) => `${file.slice(1)}\0`).join(""));
    const from = ["-C", "/", "--null", "--no-recursion", "--verbatim-files-from", "-T", list];
    const names = prefix === "" ? [] : [`--transform=s,^,${prefix},S`];
    await must(["tar", mode, ...sameBytes, ...names, "-f", tar, ...from], { timeoutMs: 300_000 });
    mode = "--append";
  }
  const compressed = `${tar}.gz`;
  await compressFile(tar, compressed, "gzip");
  return { tar, compression: "gzip", compressed };
}

/** Two at a time: the machine has two cores, and layers are large. */
async function inPairs<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!, at);
  };
  await Promise.all([worker(), worker()]);
  return results;
}
