import { snapshotterContract } from "./contract.ts";
import { MemorySnapshotter } from "./memory.ts";

snapshotterContract({
  name: "memory",
  async open() {
    const snapshotter = new MemorySnapshotter();
    return {
      snapshotter,
      addLayer: async (...layer) => snapshotter.addLayer(...layer),
      write: async (key, path, text) => snapshotter.write(key, path, Buffer.from(text)),
      async [Symbol.asyncDispose]() {},
    };
  },
});
