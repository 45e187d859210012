/** ChainIDs name a stack of layers by content (image-spec, config.md, "Layer ChainID"). */
import { type Digest, smallDigestOf } from "./digest.ts";

/** The chainID of each prefix of the stack: item n names the layers 0 to n. */
export async function chainIdsOf(diffIds: readonly Digest[]): Promise<readonly Digest[]> {
  const result: Digest[] = [];
  for (const diffId of diffIds) {
    const parent = result.at(-1);
    result.push(parent === undefined ? diffId : await smallDigestOf(`${parent} ${diffId}`));
  }
  return result;
}
