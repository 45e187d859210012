/** What is kept of a volume: one JSON file, written when it is made and never changed. */
import { type Decoded, integer, object, oneOf, pattern, record, string } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import { type RecordForm, recordTime } from "../../base/record-file.ts";
import type { VolumeDevice } from "../../bundle/container-options.ts";

const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const nameLimit = 255;

const shape = object({
  version: integer(1, 1),
  name: pattern(nameForm, "a volume name"),
  driver: oneOf("local"),
  createdAt: recordTime,
  labels: record(string),
  /** Docker's: type, device, o. */
  options: record(string),
});

export type VolumeRecord = Decoded<typeof shape>;

/** Docker's mark of a volume that nobody has named. */
export const anonymousLabel = "com.docker.volume.anonymous";

export const volumeRecordForm: RecordForm<VolumeRecord> = {
  decoder: shape,
  what: "volume record",
  limitBytes: 1024 * 1024,
};

/** Refuses what is no volume name, in docker's words. */
export function checkVolumeName(name: string): void {
  if (name.length === 1)
    throw new GantryError(
      "invalid-argument",
      "volume name is too short, names should be at least two alphanumeric characters",
    );
  if (nameForm.test(name) && name.length <= nameLimit) return;
  const shown = JSON.stringify(name.slice(0, 300));
  throw new GantryError(
    "invalid-argument",
    `create ${name.slice(0, 300)}: ${shown} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    { detail: { name: name.slice(0, 300) } },
  );
}

/** Which option asks for which others (moby, daemon/volume/local). */
const together: Readonly<Record<string, readonly string[]>> = {
  type: ["device"],
  device: ["type"],
  o: ["type", "device"],
};

/** What the options of the local driver mount; undefined for a plain directory. */
export function volumeDevice(options: Readonly<Record<string, string>>): VolumeDevice | undefined {
  for (const key of Object.keys(options)) {
    if (key === "size") throw new GantryError("unimplemented", "quota size requested but no quota support");
    if (!Object.hasOwn(together, key))
      throw new GantryError("invalid-argument", `invalid option: ${JSON.stringify(key)}`);
    for (const other of together[key]!)
      if (!options[other])
        throw new GantryError("invalid-argument", `missing required option: ${JSON.stringify(other)}`);
  }
  const { type, device, o = "" } = options;
  if (!type || !device) return undefined;
  const given = o.split(",").filter((option) => option !== "");
  const binds =
    type === "none" || type === "bind" || given.some((option) => option === "bind" || option === "rbind");
  if (!binds) return { type, device, options: given };
  if (!device.startsWith("/"))
    throw new GantryError(
      "invalid-argument",
      `invalid option: device of a bind must be an absolute path, got ${device}`,
    );
  return { type: "bind", device, options: given.filter((option) => option !== "bind" && option !== "rbind") };
}
