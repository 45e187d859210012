/** A store in a temporary directory and archives made in memory. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { OverlaySnapshotter } from "../../src/snapshots/overlay.ts";
import { OverlayLayers, type OverlayLayersOptions } from "../../src/snapshots/overlay-layers.ts";
import { type Digest, digestHex, digestOf } from "../../src/spec/digest.ts";
import type { ByteString, TarXattr } from "../../src/wire/tar-format.ts";
import { byteStringOf } from "../../src/wire/tar-format.ts";
import { type TarMember, tarArchive } from "../../src/wire/tar-writer.ts";
import { needs } from "../lib/needs.ts";

const top = fileURLToPath(new URL("../..", import.meta.url));
export const executor = process.env.GANTRY_EXECUTOR ?? join(top, "dist/gantry-executor");

/** What every test here needs. */
export const skip = needs("root", executor, "tar", "unshare");

export type Member = TarMember & { readonly data?: Uint8Array };

type Extra = Partial<Omit<TarMember, "xattrs">> & {
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
};

function withExtra(member: Member, { xattrs, ...extra }: Extra): Member {
  const list: TarXattr[] = Object.entries(xattrs ?? {}).map(([name, value]) => ({
    name: byteStringOf(name),
    value: typeof value === "string" ? Buffer.from(value) : value,
  }));
  return { ...member, ...extra, ...(list.length > 0 ? { xattrs: list } : {}) };
}

const bytes = (path: string) => path as ByteString;

export const file = (path: string, data: string | Uint8Array = "", extra: Extra = {}): Member =>
  withExtra(
    {
      path: bytes(path),
      type: "file",
      mode: 0o644,
      data: typeof data === "string" ? Buffer.from(data) : data,
    },
    extra,
  );
export const directory = (path: string, extra: Extra = {}): Member =>
  withExtra({ path: bytes(path), type: "directory", mode: 0o755 }, extra);
export const symlink = (path: string, target: string, extra: Extra = {}): Member =>
  withExtra({ path: bytes(path), type: "symlink", mode: 0o777, linkPath: bytes(target) }, extra);
export const link = (path: string, target: string): Member => ({
  path: bytes(path),
  type: "link",
  mode: 0o644,
  linkPath: bytes(target),
});
export const device = (path: string, major: number, minor: number, extra: Extra = {}): Member =>
  withExtra({ path: bytes(path), type: "character-device", mode: 0o600, major, minor }, extra);
export const fifo = (path: string): Member => ({ path: bytes(path), type: "fifo", mode: 0o600 });

export async function* chunksOf(archive: Uint8Array, chunkBytes = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < archive.length; at += chunkBytes) yield archive.subarray(at, at + chunkBytes);
}

export class Fixture implements AsyncDisposable {
  /** Everything of the fixture lies below, the store in `store`. */
  readonly directory: string;
  readonly layers: OverlayLayers;
  readonly snapshotter: OverlaySnapshotter;
  readonly options: OverlayLayersOptions;

  constructor(options: Partial<OverlayLayersOptions> = {}, directory?: string) {
    this.directory =
      directory ?? mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "gantry-layers-"));
    this.options = { directory: join(this.directory, "store"), executor: () => executor, ...options };
    this.layers = new OverlayLayers(this.options);
    this.snapshotter = new OverlaySnapshotter(this.options);
  }

  /** Unpacks members as a layer; gives its directory. */
  async apply(
    members: readonly Member[],
    options: { parent?: Digest; chainId?: Digest } = {},
  ): Promise<string> {
    return await this.applyArchive(tarArchive(members), options);
  }

  async applyArchive(
    archive: Uint8Array,
    options: { parent?: Digest; chainId?: Digest } = {},
  ): Promise<string> {
    const diffId = digestOf(archive);
    const chainId = options.chainId ?? (options.parent ? digestOf(`${options.parent} ${diffId}`) : diffId);
    await this.layers.apply({
      chainId,
      diffId,
      tar: chunksOf(archive),
      ...(options.parent ? { parentChainId: options.parent } : {}),
    });
    return this.root(chainId);
  }

  root(chainId: Digest): string {
    return join(this.directory, "store/layers", digestHex(chainId), "fs");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync("rm", ["-rf", "--one-file-system", this.directory]);
  }
}

/** Writes a file on the host, with its directories. */
export function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Everything about what is in a directory that a program could tell, one line a path. */
export function describeTree(root: string): string {
  const script = `cd "$1" && find . -mindepth 1 \\( -type d -printf '%P d %m %U:%G %T@\\n' -o \\
    -printf '%P %y %m %U:%G %s %T@ %l %n\\n' \\) | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
    getfattr -Rhd -m - --absolute-names . 2>/dev/null | LC_ALL=C sort`;
  return execFileSync("sh", ["-c", script, "sh", root], { maxBuffer: 1 << 28 }).toString("latin1");
}

/** Runs a shell command with an overlay of `lower` (top first) on $M, in a mount namespace of its own. */
export function inOverlay(lower: readonly string[], command: string): string {
  const script = `set -e; M=$(mktemp -d); mount -t tmpfs t $M; mkdir $M/u $M/w $M/m
    mount -t overlay o -o "lowerdir=$1,upperdir=$M/u,workdir=$M/w" $M/m; cd $M/m; M=$M/m; ${command}`;
  return execFileSync("unshare", [
    "-m",
    "--propagation",
    "private",
    "sh",
    "-c",
    script,
    "sh",
    lower.join(":"),
  ]).toString();
}
