/** Gets an image as containers need it, unpacked: the one that is here, or else the one that a registry has. */
import { GantryError, isGantryError } from "../../base/error.ts";
import { type ImageContent, openImageContent } from "../../images/image.ts";
import type { OnPullEvent } from "../../images/progress.ts";
import type { PullPolicy } from "../../images/pull-options.ts";
import { formatPlatform, parsePlatform, platformDistance } from "../../spec/platform.ts";
import type { Internals } from "../internals.ts";
import { ensureUnpacked } from "./ensure-unpacked.ts";

export interface WantedImage {
  readonly image: string;
  readonly pull?: PullPolicy | undefined;
  readonly platform?: string | undefined;
}

interface Options {
  readonly onPull?: OnPullEvent;
  readonly insecureRegistries?: readonly string[];
  readonly signal?: AbortSignal;
}

export async function imageForContainer(
  internals: Internals,
  wanted: WantedImage,
  options: Options,
): Promise<ImageContent> {
  const { onPull, ...rest } = options;
  const policy = wanted.pull ?? "missing";
  if (policy !== "always") {
    const present = await presentImage(internals, wanted, options);
    if (present) return present;
  }
  // what speaks to registries is loaded only when one is asked
  const { pullImage } = await import("./pull.ts");
  return await pullImage(internals, wanted.image, {
    ...rest,
    ...(wanted.platform === undefined ? {} : { platform: wanted.platform }),
    ...(onPull ? { onProgress: onPull } : {}),
  });
}

/** The image if it is here as a whole, for the wanted platform; undefined if it is to be pulled. */
async function presentImage(
  internals: Internals,
  { image: text, pull, platform }: WantedImage,
  { signal }: Options,
): Promise<ImageContent | undefined> {
  const cancellable = signal ? { signal } : {};
  try {
    const image = await openImageContent(internals, text, cancellable);
    if (platform !== undefined && platformDistance(parsePlatform(platform), image.platform) === undefined)
      throw new GantryError(
        "not-found",
        `No such image: ${text} is here for ${formatPlatform(image.platform)}, not for ${platform}`,
        { detail: { image: text, platform } },
      );
    await ensureUnpacked(internals, image.chainIds, async () => image, cancellable);
    return image;
  } catch (error) {
    const absent = isGantryError(error, "not-found") || isGantryError(error, "data-loss");
    if (absent && pull !== "never") return undefined;
    throw error;
  }
}
