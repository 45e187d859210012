/** The image that a container is made of, unpacked: the one that is here, or else the one that a registry has. */
import { GantryError, isGantryError } from "../../base/error.ts";
import { type Image, openImage } from "../../images/image.ts";
import type { OnPullEvent } from "../../images/progress.ts";
import type { PullPolicy } from "../../images/pull-options.ts";
import { parsePlatform, platformDistance } from "../../spec/platform.ts";
import type { Internals } from "../internals.ts";
import { ensureUnpacked } from "./ensure-unpacked.ts";

export interface WantedImage {
  readonly image: string;
  readonly pull?: PullPolicy | undefined;
  readonly platform?: string | undefined;
}

interface Options {
  readonly onPull?: OnPullEvent;
  readonly signal?: AbortSignal;
}

export async function imageForContainer(
  internals: Internals,
  wanted: WantedImage,
  options: Options,
): Promise<Image> {
  const policy = wanted.pull ?? "missing";
  if (policy !== "always") {
    const present = await presentImage(internals, wanted, options);
    if (present) return present;
    if (policy === "never")
      throw new GantryError("not-found", `No such image: ${wanted.image}`, {
        detail: { image: wanted.image },
      });
  }
  // what speaks to registries is loaded only when one is asked
  const { pullImage } = await import("./pull.ts");
  return await pullImage(internals, wanted.image, {
    policy: "always",
    ...(wanted.platform === undefined ? {} : { platform: wanted.platform }),
    ...(options.onPull ? { onProgress: options.onPull } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  });
}

/** The image if it is here as a whole, for the wanted platform. */
async function presentImage(
  internals: Internals,
  { image: text, pull, platform }: WantedImage,
  { signal }: Options,
): Promise<Image | undefined> {
  const cancellable = signal ? { signal } : {};
  try {
    const image = await openImage(internals, text, cancellable);
    if (platform !== undefined && platformDistance(parsePlatform(platform), image.platform) === undefined)
      return undefined;
    await ensureUnpacked(internals, image.chainIds, async () => image, cancellable);
    return image;
  } catch (error) {
    if (isGantryError(error, "not-found")) return undefined;
    // damaged, and to be pulled again if that is allowed
    if (isGantryError(error, "data-loss") && pull !== "never") return undefined;
    throw error;
  }
}
