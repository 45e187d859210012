import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { snapshotterContract } from "../../src/snapshots/contract.ts";
import { Fixture, file, skip } from "./fixture.ts";

snapshotterContract({
  name: "overlay",
  skip,
  async open() {
    const fixture = new Fixture();
    return {
      snapshotter: fixture.snapshotter,
      addLayer: async (chainId, parent, files) => {
        const members = Object.entries(files).map(([path, text]) => file(path, text));
        await fixture.apply(members, { chainId, ...(parent ? { parent } : {}) });
      },
      write: async (key, path, text) => {
        const { upper } = await fixture.snapshotter.mounts(key);
        mkdirSync(dirname(join(upper!, path)), { recursive: true });
        writeFileSync(join(upper!, path), text);
      },
      [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
    };
  },
});
