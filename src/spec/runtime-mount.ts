/** `mounts` and id mappings of a runtime config (runtime-spec 1.3, config.md "Mounts"). */
import { array, type Decoded, integer, object, optional, string } from "../base/decode.ts";

const id = integer(0, 0xffffffff);

/** The kernel takes at most 340 lines (user_namespaces(7)). */
export const idMappings = array(object({ containerID: id, hostID: id, size: id }), 340);

export const runtimeMount = object({
  destination: string,
  source: optional(string),
  type: optional(string),
  options: optional(array(string, 10_000)),
  uidMappings: optional(idMappings),
  gidMappings: optional(idMappings),
});

export type RuntimeMount = Decoded<typeof runtimeMount>;
export type IdMapping = Decoded<typeof idMappings>[number];
