/** The log that the shim writes: its file, and where else its lines go. */
import { join } from "node:path";
import { stateFiles } from "../state-files.ts";
import type { Draft } from "./draft.ts";
import { type EngineMode, forwardFormats, forwardProtocols, logFormats } from "./request.ts";

/** Opens log and socket of the shim beside the child, long before its program runs: then neither can fail. */
export function openShim({ host }: Draft, { log, state }: EngineMode): void {
  host.push({
    op: "open-shim",
    where: "",
    socket: join(state, stateFiles.socket),
    log: log.path,
    format: logFormats[log.format],
    limitBytes: log.limitBytes,
    files: log.files,
  });
  if (log.attributes) host.push({ op: "label-log", where: "", attributes: log.attributes });
  if (log.packer) host.push({ op: "pack-log", where: "", ...log.packer });
  const { forward } = log;
  if (!forward) return;
  if (forward.relay) host.push({ op: "relay-log", where: "", ...forward.relay });
  host.push({
    op: "forward-log",
    where: "",
    phrase: "failed to initialize logging driver",
    protocol: forwardProtocols[forward.protocol],
    address: forward.address,
    port: forward.port ?? 0,
    format: forwardFormats[forward.format],
    facility: forward.facility ?? 0,
    host: forward.host ?? "",
    tag: forward.tag ?? "",
    fields: forward.fields ?? new Uint8Array(),
    patient: forward.patient ? 1 : 0,
    bufferBytes: forward.bufferBytes ?? 0,
  });
}
