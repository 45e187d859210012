/** Pulling an image: resolve, choose the platform, bring documents and layers here, set the name. */
import { GantryError } from "../base/error.ts";
import { faultPoint } from "../base/fault.ts";
import { chainIdsOf } from "../spec/chain-id.ts";
import { diffIdsOf, platformOf } from "../spec/image-config.ts";
import { formatPlatform, type Platform, platformDistance } from "../spec/platform.ts";
import { familiarReference, familiarRepository, parseReference, type Reference } from "../spec/reference.ts";
import { hostPlatform } from "./host-platform.ts";
import { type Image, openImage } from "./image.ts";
import { imageName, setName } from "./naming.ts";
import { LayerReporter } from "./progress.ts";
import { pullLayer } from "./pull-layer.ts";
import type { PullDeps, PullOptions } from "./pull-options.ts";
import { type SelectedManifest, selectManifest } from "./select-manifest.ts";

/** docker's max-concurrent-downloads. */
const defaultConcurrency = 3;

/** Brings the image that `text` names into the store, unpacked, and gives it that name. */
export async function pullImage(deps: PullDeps, text: string, options: PullOptions = {}): Promise<Image> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const reference = parseReference(text);
  const familiar = familiarReference(reference);
  onProgress?.({ kind: "resolving", repository: familiarRepository(reference), reference: familiar });
  using lease = deps.leases.open();
  const common = signal ? { signal } : {};
  const { descriptor: target, bytes } = await deps.registry.resolve(reference, common);
  const source = {
    registry: deps.registry,
    content: deps.content,
    reference,
    claim: lease.claim,
    ...common,
  };
  const selected = await selectManifest(source, target, options.platform ?? hostPlatform(), bytes);
  checkPlatform(selected, familiar, options);
  const name = imageName(reference);
  const before = deps.images.get(name);
  lease.claim(
    ...selected.manifest.layers.map((layer) => layer.digest),
    ...(await chainIdsOf(diffIdsOf(selected.imageConfig))),
  );
  const outcome = await pullLayers(deps, reference, selected, options);
  signal?.throwIfAborted();
  faultPoint("pull-unnamed");
  const changed = outcome === "changed" || before?.manifest.digest !== selected.descriptor.digest;
  setName(deps.images, {
    name,
    target,
    manifest: selected.descriptor,
    config: selected.manifest.config,
    updated: changed || !before ? new Date().toISOString() : before.updated,
  });
  onProgress?.({ kind: "digest", digest: target.digest });
  onProgress?.({ kind: "status", changed, reference: familiar });
  return await openImage(deps, name, common);
}

/** A reference may name a manifest for another platform without any index to choose from. */
function checkPlatform(selected: SelectedManifest, familiar: string, options: PullOptions): void {
  const wanted: Platform = options.platform ?? hostPlatform();
  const found = platformOf(selected.imageConfig);
  if (platformDistance(wanted, found) !== undefined) return;
  const message = `the image is for ${formatPlatform(found)}, not for ${formatPlatform(wanted)}`;
  if (options.platform)
    throw new GantryError("not-found", `pull "${familiar}": ${message}`, {
      detail: { platform: formatPlatform(wanted), offered: [formatPlatform(found)] },
    });
  options.onProgress?.({ kind: "warning", message });
}

/** All layers, a few at once. The first failure stops the others, and is the one that is reported. */
async function pullLayers(
  deps: PullDeps,
  reference: Reference,
  selected: SelectedManifest,
  options: PullOptions,
): Promise<"changed" | "unchanged"> {
  const { layers } = selected.manifest;
  const diffIds = diffIdsOf(selected.imageConfig);
  const chainIds = await chainIdsOf(diffIds);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const failures: unknown[] = [];
  const downloads = new Map<string, Promise<unknown>>();
  let changed = false;
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < layers.length && !signal.aborted) {
      const index = next++;
      const layer = layers[index]!;
      const job = {
        reference,
        layer,
        diffId: diffIds[index]!,
        chainId: chainIds[index]!,
        parentChainId: chainIds[index - 1],
        reporter: new LayerReporter(options.onProgress, layer, index),
        signal,
        ...(options.limits ? { limits: options.limits } : {}),
      };
      // the same blob twice in one image is downloaded once
      const earlier = downloads.get(layer.digest) ?? Promise.resolve();
      const own = earlier.catch(() => {}).then(async () => await pullLayer(deps, job));
      downloads.set(layer.digest, own);
      try {
        if ((await own) !== "present") changed = true;
      } catch (error) {
        failures.push(error);
        stop.abort(new GantryError("aborted", "another layer of the image has failed", { cause: error }));
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency ?? defaultConcurrency }, worker));
  options.signal?.throwIfAborted();
  if (failures.length > 0) throw failures[0];
  return changed ? "changed" : "unchanged";
}
