/** What an event tells about a container. */
import type { ContainerRecord } from "./container-record.ts";

export function containerAttributes(record: ContainerRecord): Readonly<Record<string, string>> {
  return { ...record.labels, image: record.image.reference, name: record.name };
}
