/** Pulls images from registries. */

import type { Image } from "../../images/image.ts";
import type { OnPullEvent } from "../../images/progress.ts";
import { pullImage as pullInto } from "../../images/pull.ts";
import type { PullPolicy } from "../../images/pull-options.ts";
import { RegistryClient } from "../../registry/client.ts";
import { storedCredentials } from "../../registry/credentials.ts";
import { parsePlatform } from "../../spec/platform.ts";
import type { Internals } from "../internals.ts";
import { bringIn } from "./store-deps.ts";

export interface PullImageOptions {
  /** `linux/arm64`; default: what this machine is. */
  readonly platform?: string;
  /** Whether an image that is here will do; default "always": the registry is asked. */
  readonly policy?: PullPolicy;
  readonly onProgress?: OnPullEvent;
  /** Registries (`host:port`) that may speak plain HTTP or have any certificate; loopback always may. */
  readonly insecureRegistries?: readonly string[];
  readonly signal?: AbortSignal;
}

export async function pullImage(
  internals: Internals,
  reference: string,
  options: Omit<PullImageOptions, "policy"> = {},
): Promise<Image> {
  const { platform, insecureRegistries, ...rest } = options;
  using registry = new RegistryClient({
    credentials: storedCredentials(),
    ...(insecureRegistries ? { insecure: insecureRegistries } : {}),
  });
  const image = await bringIn(
    internals,
    `pull "${reference}"`,
    async (deps) =>
      await pullInto({ ...deps, registry }, reference, {
        ...rest,
        ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
      }),
  );
  internals.events.append("image", "pull", reference, { name: image.repoTags[0] ?? reference });
  return image;
}
