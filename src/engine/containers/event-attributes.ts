/** What an event tells about a container. */
import type { ContainerAttributes } from "../events.ts";
import type { Internals } from "../internals.ts";
import type { ContainerRecord } from "./container-record.ts";

export function containerAttributes(record: ContainerRecord): ContainerAttributes {
  return { ...record.labels, image: record.image.reference, name: record.name };
}

/** The same at the end of what took its time: the container may have got another name, or be gone. */
export function attributesNow({ containers }: Internals, record: ContainerRecord): ContainerAttributes {
  return containerAttributes(containers.read(record.id) ?? record);
}
