/**
 * The records of all pods.
 *
 *     ROOT/pods/<id>/pod.json        the record
 *     ROOT/pod-names/<name>          a link to the id
 *     STATE/pods/<id>/ns/<kind>      a namespace, held by a mount
 *     STATE/pods/<id>/shm            the tmpfs that its containers share
 *     STATE/pods/<id>/sandbox.json   it is ready; its pause process, if there is one
 */
import { join } from "node:path";
import { GantryError } from "../../base/error.ts";
import { RecordStore } from "../record-store.ts";
import { makePrivateDirectory, type StoreLayout } from "../store-layout.ts";
import { type PodRecord, podRecordForm } from "./pod-record.ts";

export class PodStore extends RecordStore<PodRecord> {
  constructor({ pods, podStates, podNames }: StoreLayout) {
    super({
      noun: "pod",
      form: podRecordForm,
      file: "pod.json",
      places: { records: pods, states: podStates, names: podNames },
      noSuch: noSuchPod,
      ambiguous: (text) => `more than one result for ID or name ${text}: pod already exists`,
    });
  }

  /** Anew, with the places for what is pinned. */
  makeStateDirectory(id: string): void {
    const dir = this.stateDirectory(id);
    this.removeStateDirectory(id);
    for (const path of [dir, join(dir, "ns"), join(dir, "shm")]) makePrivateDirectory(path);
  }

  /** Also of those that only have something on the run-time side. */
  override ids(): readonly string[] {
    return [...new Set([...super.ids(), ...this.stateIds()])];
  }
}

/** podman's words. */
export function noSuchPod(text: string): GantryError {
  return new GantryError("not-found", `no pod with name or ID ${text} found: no such pod`, {
    detail: { pod: text },
  });
}
