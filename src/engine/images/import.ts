/** Makes an image of the tar of a root file system. */
import type { Image } from "../../images/image.ts";
import { type ImportOptions, importTar } from "../../images/import-tar.ts";
import type { Internals } from "../internals.ts";
import { bringIn } from "./store-deps.ts";

export async function importImage(
  internals: Internals,
  tar: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<Image> {
  const image = await bringIn(internals, "import image", async (deps) => await importTar(deps, tar, options));
  internals.events.append(
    "image",
    "import",
    image.id,
    options.name === undefined ? {} : { name: options.name },
  );
  return image;
}
