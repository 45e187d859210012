/**
 * The directory tree of layers and snapshots, and how it stays right. All of it is on one file system.
 *
 *     layers/<hex>/{fs, layer.json, synced?, inherited?}     committed layers, by chainID
 *     active/<key>/{fs, work, snapshot.json}                 snapshots of containers
 *     staging/<owner>.<random>                               on its way in or out; `hidden.…` see below
 *     empty                                                  a directory for roots of too few layers
 *
 * Appearing and going are renames between these folders, so a reader sees all of a layer or nothing.
 * What a dead process left in `staging` is removed by whoever looks next (`sweep`).
 *
 * A power cut. Nothing is flushed file by file: that would triple the time of a pull. Instead
 * layer.json names the boot in which it was written. In that boot the page cache vouches for the
 * layer. In any other, only a layer with the mark `synced` counts, and the mark is made after one
 * syncfs of the whole file system has returned (`settle`, in the background after a pull). A layer
 * without it is thrown away and unpacked again from its blob.
 *
 * Removal of a layer is in two steps, as for blobs: it is hidden under another name, then users are
 * looked for (snapshots and layers above it, and whatever the caller's `unless` knows), then it is
 * deleted or put back. A user claims first (its record is in place) and then looks for the layer, so
 * one of the two sees the other. A hidden layer whose remover died is put back.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { ownerState, ownToken } from "../base/owner.ts";
import { randomHex } from "../base/random.ts";
import { type Digest, digestAlgorithm, digestHex, isDigest } from "../spec/digest.ts";
import { removeTree } from "./remove-tree.ts";
import {
  type LayerRecord,
  readLayerRecord,
  readSnapshotRecord,
  type SnapshotRecord,
} from "./store-records.ts";

export interface OverlayStoreOptions {
  /** The folder of all this; made with mode 0700 if it is missing. */
  readonly directory: string;
  /** Path of the executor, asked for when it is needed. */
  readonly executor: () => string;
  /** Identity of this boot; the kernel's unless told. */
  readonly bootId?: string;
  /** Whether this process lacks root's powers (own user namespace): owners and devices that are refused are passed over. */
  readonly unprivileged?: boolean;
}

/** Keys are file names: container ids, or what a caller makes up in letters, digits, `_`, `.` and `-`. */
export function checkKey(key: string): void {
  if (!keyForm.test(key))
    throw new GantryError(
      "invalid-argument",
      `find snapshot ${JSON.stringify(key.slice(0, 200))}: a key has 1 to 128 letters, digits, "_", "." or "-"`,
    );
}

const keyForm = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** The chainID that a directory of `layers` is named after; undefined for what is no layer. */
function chainIdOf(name: string): Digest | undefined {
  const text = name.includes("-") ? name.replace("-", ":") : `sha256:${name}`;
  return isDigest(text) ? text : undefined;
}

export class OverlayStore {
  readonly directory: string;
  readonly layers: string;
  readonly active: string;
  readonly staging: string;
  readonly empty: string;
  readonly bootId: string;
  readonly executor: () => string;
  readonly unprivileged: boolean;
  #made = false;
  #owner: string | undefined;

  constructor(options: OverlayStoreOptions) {
    this.directory = options.directory;
    this.layers = `${options.directory}/layers`;
    this.active = `${options.directory}/active`;
    this.staging = `${options.directory}/staging`;
    this.empty = `${options.directory}/empty`;
    this.executor = options.executor;
    this.unprivileged = options.unprivileged ?? false;
    this.bootId = options.bootId ?? readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  }

  /** Makes the folders that are missing. Nobody but the owner may enter: layers hold set-user-ID programs (CVE-2021-41103). */
  make(): void {
    if (this.#made) return;
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      for (const folder of [this.layers, this.active, this.staging, this.empty])
        if (!existsSync(folder))
          mkdirSync(folder, { recursive: true, mode: folder === this.empty ? 0o755 : 0o700 });
    } catch (error) {
      throw wrapErrno(error, "make snapshot store", this.directory);
    }
    this.#made = true;
  }

  layerDirectory(chainId: Digest): string {
    const prefix = digestAlgorithm(chainId) === "sha256" ? "" : `${digestAlgorithm(chainId)}-`;
    return `${this.layers}/${prefix}${digestHex(chainId)}`;
  }

  snapshotDirectory(key: string): string {
    checkKey(key);
    return `${this.active}/${key}`;
  }

  /** A path in `staging` that no other process uses. */
  stagingPath(prefix = ""): string {
    this.make();
    this.#owner ??= ownToken();
    return `${this.staging}/${prefix}${this.#owner}.${randomHex(6)}`;
  }

  /** The record of a layer that can be relied on, else undefined. */
  layer(chainId: Digest): LayerRecord | undefined {
    const directory = this.layerDirectory(chainId);
    let record: LayerRecord | undefined;
    try {
      record = readLayerRecord(directory);
    } catch (error) {
      // cut short by a power cut
      if (
        error instanceof GantryError &&
        (error.code === "invalid-argument" || error.code === "resource-exhausted")
      )
        return undefined;
      throw error;
    }
    if (record?.chainId !== chainId) return undefined;
    return record.bootId === this.bootId || existsSync(`${directory}/synced`) ? record : undefined;
  }

  /** The record of a snapshot; undefined if there is none, or if a power cut came before it was on the disk. */
  snapshot(key: string): SnapshotRecord | undefined {
    try {
      return readSnapshotRecord(this.snapshotDirectory(key));
    } catch (error) {
      if (error instanceof GantryError && error.code === "invalid-argument") return undefined;
      throw error;
    }
  }

  /** All layers that can be relied on. */
  *allLayers(): Generator<LayerRecord, void, void> {
    for (const name of this.names(this.layers)) {
      const chainId = chainIdOf(name);
      const record = chainId === undefined ? undefined : this.layer(chainId);
      if (record) yield record;
    }
  }

  /** Directory names, in `layers`, of layers that count in this boot, but that the disk may not have yet. */
  *unsettled(): Generator<string, void, void> {
    for (const name of this.names(this.layers)) {
      if (existsSync(`${this.layers}/${name}/synced`)) continue;
      const chainId = chainIdOf(name);
      if (chainId !== undefined && this.layer(chainId)) yield name;
    }
  }

  *allSnapshots(): Generator<SnapshotRecord, void, void> {
    for (const name of this.names(this.active)) {
      if (!keyForm.test(name)) continue;
      const record = this.snapshot(name);
      if (record) yield record;
    }
  }

  /** The layers from `top` down; not-found if one is missing. */
  chain(top: Digest | undefined): readonly LayerRecord[] {
    const chain: LayerRecord[] = [];
    for (let chainId = top; chainId !== undefined; chainId = chain.at(-1)?.parentChainId) {
      const record = this.layer(chainId);
      if (!record)
        throw new GantryError("not-found", `find layer "${chainId}": it is not unpacked here`, {
          detail: { chainId },
        });
      chain.push(record);
      // 500 is the kernel's limit (OVL_MAX_STACK), and a ring cannot be made by content addresses
      if (chain.length > 500)
        throw new GantryError("failed-precondition", `find layer "${chainId}": more than 500 layers`);
    }
    return chain;
  }

  names(folder: string): readonly string[] {
    try {
      return readdirSync(folder);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw wrapErrno(error, "list", folder);
    }
  }

  /** Renames; false if the source is not there or the target is taken. */
  rename(from: string, to: string): boolean {
    try {
      renameSync(from, to);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "EEXIST" || errno === "ENOTEMPTY") return false;
      throw wrapErrno(error, "rename", from);
    }
  }

  /** Takes a directory out of the store in one step, then deletes it. False if it was not there. */
  async discard(directory: string): Promise<boolean> {
    const aside = this.stagingPath();
    if (!this.rename(directory, aside)) return false;
    await this.removeStaged(aside);
    return true;
  }

  async removeStaged(path: string): Promise<void> {
    await removeTree(this.staging, path.slice(this.staging.length + 1), this.executor);
  }

  /** Removes what dead processes left, and layers that a power cut made doubtful. */
  async sweep(): Promise<void> {
    for (const name of this.names(this.staging)) {
      const match = /^(?:hidden\.([a-z0-9-]+)\.)?([^.]+)\.[0-9a-f]+$/.exec(name);
      if (match && ownerState(match[2]!) !== "dead") continue;
      const path = `${this.staging}/${name}`;
      if (match?.[1] && this.rename(path, `${this.layers}/${match[1]}`)) continue;
      await this.removeStaged(path);
    }
    for (const name of this.names(this.layers)) await this.#sweepLayer(name);
    for (const name of this.names(this.active))
      if (!keyForm.test(name) || !this.snapshot(name)) await this.discard(`${this.active}/${name}`);
  }

  async #sweepLayer(name: string): Promise<void> {
    const directory = `${this.layers}/${name}`;
    if (existsSync(`${directory}/synced`)) return;
    let record: LayerRecord | undefined;
    try {
      record = readLayerRecord(directory);
    } catch {
      record = undefined;
    }
    if (record?.bootId !== this.bootId) await this.discard(directory);
  }
}
