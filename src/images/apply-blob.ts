/** Unpacks the blob of a layer, wherever its bytes come from: decompressor, diffID check, applier. */
import { GantryError } from "../base/error.ts";
import type { ContentStore } from "../content/content-store.ts";
import type { Descriptor } from "../spec/descriptor.ts";
import { type Digest, verifyStream } from "../spec/digest.ts";
import { layerCompressionOf } from "../spec/media-types.ts";
import { decompress } from "./decompress.ts";
import type { LayerApplier } from "./layer-applier.ts";
import type { UnpackLimits } from "./pull-options.ts";

export interface LayerBlob {
  readonly layer: Descriptor;
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly parentChainId: Digest | undefined;
  readonly limits?: UnpackLimits;
  readonly signal?: AbortSignal;
}

/** Refuses what is no layer of a root file system (WebAssembly, signatures, foreign compressions). */
export function checkLayerType({ mediaType, digest }: Descriptor): void {
  if (layerCompressionOf(mediaType) === undefined)
    throw new GantryError(
      "unimplemented",
      `unpack layer "${digest}": ${mediaType} is no layer that can be unpacked`,
      { detail: { mediaType } },
    );
}

/** `stop` is called when the applier gives up: then nobody shall wait for more of `compressed`. */
export async function applyBlob(
  layers: LayerApplier,
  blob: LayerBlob,
  compressed: AsyncIterable<Uint8Array>,
  stop: () => void,
): Promise<void> {
  const { layer, diffId, chainId, parentChainId, limits, signal } = blob;
  const tar = decompress(compressed, {
    what: `layer "${layer.digest}"`,
    compressedBytes: layer.size,
    ...(limits ? { limits } : {}),
  });
  await layers.apply({
    chainId,
    ...(parentChainId === undefined ? {} : { parentChainId }),
    diffId,
    tar: onLeave(verifyStream(tar, { digest: diffId }, "uncompressed layer"), stop),
    ...(signal ? { signal } : {}),
  });
}

/** The same for a blob of the content store; `onRead` is told how many of its bytes have been read. */
export async function applyStoredBlob(
  deps: { readonly content: ContentStore; readonly layers: LayerApplier },
  blob: LayerBlob,
  onRead: (bytes: number) => void = () => {},
): Promise<void> {
  const counted = async function* () {
    let current = 0;
    for await (const chunk of deps.content.read(
      blob.layer.digest,
      blob.signal ? { signal: blob.signal } : {},
    )) {
      current += chunk.length;
      onRead(current);
      yield chunk;
    }
  };
  await applyBlob(deps.layers, blob, counted(), () => {});
}

/** An iterable that tells when its reader leaves before the end. */
function onLeave(
  source: AsyncGenerator<Uint8Array, void, void>,
  left: () => void,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => source.next(),
      async return() {
        left();
        await source.return();
        return { done: true, value: undefined };
      },
    }),
  };
}
