/** Makes an image of the tar of a root file system. */
import type { Image } from "../../images/image.ts";
import { type ImportOptions, importTar } from "../../images/import-tar.ts";
import type { Internals } from "../internals.ts";

export async function importImage(
  internals: Internals,
  tar: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<Image> {
  const { content, images, leases, events } = internals;
  await using layers = await internals.openLayers();
  const image = await importTar({ content, images, leases, layers }, tar, options);
  events.append("image", "import", image.id, options.name === undefined ? {} : { name: options.name });
  return image;
}
