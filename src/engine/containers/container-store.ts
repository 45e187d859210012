/**
 * The records of all containers.
 *
 *     containers/<id>/container.json   the record
 *     containers/<id>/config.json      the runtime config of the bundle
 *     containers/<id>/log.json         what it printed, or log.cri; log.json.1 and so on before that
 */
import { join } from "node:path";
import { GantryError } from "../../base/error.ts";
import { stateFiles } from "../../plan/state-files.ts";
import { RecordStore } from "../record-store.ts";
import type { StoreLayout } from "../store-layout.ts";
import { type ContainerRecord, containerRecordForm } from "./container-record.ts";

export class ContainerStore extends RecordStore<ContainerRecord> {
  constructor({ containers, taskStates, names }: StoreLayout) {
    super({
      noun: "container",
      form: containerRecordForm,
      file: "container.json",
      places: { records: containers, states: taskStates, names },
      noSuch: noSuchContainer,
      ambiguous: (text) => `multiple IDs found with provided prefix: ${text}`,
    });
  }

  /** Where its execs keep their state, one folder each. */
  execsDirectory(id: string): string {
    return join(this.stateDirectory(id), "execs");
  }

  /** Its name, if that is another one than at its start: for events that only a shim sees. */
  renamedPath(id: string): string {
    return join(this.stateDirectory(id), stateFiles.renamed);
  }

  logPath(id: string, format: ContainerRecord["log"]["format"]): string {
    return join(this.directory(id), format === "cri" ? "log.cri" : "log.json");
  }
}

/** In docker's words. */
export function noSuchContainer(text: string): GantryError {
  return new GantryError("not-found", `No such container: ${text}`, { detail: { container: text } });
}
