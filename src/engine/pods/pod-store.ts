/**
 * The records of all pods: one folder each, which is there from the first moment of a creation to the last of a removal.
 *
 *     ROOT/pods/<id>/pod.json        the record; without it the pod is being made or removed, or who did so died
 *     ROOT/pod-names/<name>          a link to the id
 *     STATE/pods/<id>/ns/<kind>      a namespace, held by a mount
 *     STATE/pods/<id>/shm            the tmpfs that its containers share
 *     STATE/pods/<id>/sandbox.json   it is ready; its pause process, if there is one
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.ts";
import { errnoOf, GantryError, isGantryError, wrapErrno } from "../../base/error.ts";
import { ContainerNames } from "../containers/container-name.ts";
import { makePrivateDirectory, type StoreLayout } from "../store-layout.ts";
import { decodePodRecord, type PodRecord } from "./pod-record.ts";

const idForm = /^[0-9a-f]{64}$/;

function idsIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).filter((name) => idForm.test(name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw wrapErrno(error, "list pods", dir);
  }
}

export class PodStore {
  readonly names: ContainerNames;
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
    this.names = new ContainerNames(layout.podNames);
  }

  directory(id: string): string {
    return join(this.#layout.pods, id);
  }

  stateDirectory(id: string): string {
    return join(this.#layout.podStates, id);
  }

  exists(id: string): boolean {
    return existsSync(this.directory(id));
  }

  makeDirectory(id: string): void {
    makePrivateDirectory(this.#layout.pods);
    try {
      mkdirSync(this.directory(id), { mode: 0o700 });
    } catch (error) {
      throw wrapErrno(error, "make directory", this.directory(id));
    }
  }

  /** Anew, with the places for what is pinned. */
  makeStateDirectory(id: string): void {
    const dir = this.stateDirectory(id);
    this.removeStateDirectory(id);
    for (const path of [dir, join(dir, "ns"), join(dir, "shm")]) makePrivateDirectory(path);
  }

  /** When nothing is pinned in it any more. */
  removeStateDirectory(id: string): void {
    try {
      rmSync(this.stateDirectory(id), { recursive: true, force: true });
    } catch (error) {
      throw wrapErrno(error, "remove directory", this.stateDirectory(id));
    }
  }

  removeDirectory(id: string): void {
    try {
      rmSync(this.directory(id), { recursive: true, force: true });
    } catch (error) {
      throw wrapErrno(error, "remove directory", this.directory(id));
    }
  }

  /** Undefined while the pod is being made, or if there is none. */
  read(id: string): PodRecord | undefined {
    const path = join(this.directory(id), "pod.json");
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw wrapErrno(error, "read pod record", path);
    }
    return decodePodRecord(bytes, path);
  }

  write(record: PodRecord): void {
    writeFileAtomic(join(this.directory(record.id), "pod.json"), JSON.stringify(record));
  }

  removeRecord(id: string): void {
    const path = join(this.directory(id), "pod.json");
    try {
      unlinkSync(path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw wrapErrno(error, "remove pod", path);
    }
  }

  /** The ids of all folders on either side, those of half-made and half-removed pods included. */
  ids(): readonly string[] {
    return [...new Set([...idsIn(this.#layout.pods), ...idsIn(this.#layout.podStates)])];
  }

  /** Id and name of a pod by its full id, its name, or the beginning of its id; also of one that cannot be read. */
  identify(text: string): { readonly id: string; readonly name: string } {
    const id = this.#resolve(text);
    if (id === undefined || !this.exists(id)) throw noSuchPod(text);
    try {
      const record = this.read(id);
      if (!record) throw noSuchPod(text);
      return { id, name: record.name };
    } catch (error) {
      if (!isGantryError(error) || error.code === "not-found") throw error;
      return { id, name: id.slice(0, 12) };
    }
  }

  #resolve(text: string): string | undefined {
    if (idForm.test(text)) return text;
    const named = this.names.find(text);
    if (named !== undefined) return named;
    if (!/^[0-9a-f]{1,63}$/.test(text)) return undefined;
    const [found, ...others] = idsIn(this.#layout.pods).filter((id) => id.startsWith(text));
    if (others.length === 0) return found;
    throw new GantryError(
      "invalid-argument",
      `more than one result for ID or name ${text}: pod already exists`,
      {
        detail: { pod: text, ids: [found, ...others] },
      },
    );
  }
}

/** podman's words. */
export function noSuchPod(text: string): GantryError {
  return new GantryError("not-found", `no pod with name or ID ${text} found: no such pod`, {
    detail: { pod: text },
  });
}
