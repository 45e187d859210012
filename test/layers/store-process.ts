/** A second process on a store, for tests of what happens when it dies or when two work at once. */
import { GantryError } from "../../src/base/error.ts";
import { OverlaySnapshotter } from "../../src/snapshots/overlay.ts";
import { OverlayLayers } from "../../src/snapshots/overlay-layers.ts";
import { type Digest, digestOf } from "../../src/spec/digest.ts";
import type { ByteString } from "../../src/wire/tar-format.ts";
import { byteStringOf } from "../../src/wire/tar-format.ts";
import { type TarMember, tarArchive, tarHeader } from "../../src/wire/tar-writer.ts";

const [store, executor, verb, name] = process.argv.slice(2) as [string, string, string, Digest];
const options = { directory: store, executor: () => executor, unprivileged: verb === "unprivileged" };
const layers = new OverlayLayers(options);
const snapshotter = new OverlaySnapshotter(options);

const member = (path: string, type: TarMember["type"], data = "", more: Partial<TarMember> = {}) => ({
  path: path as ByteString,
  type,
  mode: 0o755,
  ...(type === "file" ? { data: Buffer.from(data) } : {}),
  ...more,
});

async function* once(bytes: Uint8Array) {
  yield bytes;
}

const archive = tarArchive([
  member("d", "directory"),
  member("d/f", "file", "data"),
  member("e", "file", "x".repeat(500_000)),
]);

switch (verb) {
  case "apply":
    await layers.apply({ chainId: digestOf("from the other process"), diffId: name, tar: once(archive) });
    break;
  case "apply-endless": {
    const endless = async function* () {
      yield tarHeader({ ...member("endless", "file"), sizeBytes: 10 ** 11 });
      yield new Uint8Array(1 << 20);
      console.log("unpacking");
      for (;;) {
        yield new Uint8Array(4096);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await layers.apply({ chainId: name, diffId: name, tar: endless() });
    break;
  }
  case "prepare":
    await snapshotter.prepare("from-the-other", { parent: name });
    break;
  case "remove-layer":
    await snapshotter.removeLayer(name);
    break;
  case "race": {
    await layers.apply({ chainId: name, diffId: name, tar: once(archive) });
    let prepared = 0;
    for (let index = 0; index < 20; index++)
      try {
        await snapshotter.prepare(`key-${index}`, { parent: name });
        prepared++;
      } catch (error) {
        if (!(error instanceof GantryError && error.code === "already-exists")) throw error;
      }
    console.log(`prepared ${prepared}`);
    break;
  }
  case "unprivileged":
    await layers.apply({
      chainId: name,
      diffId: name,
      tar: once(
        tarArchive([
          member("owned", "file", "data", {
            uid: 1000,
            gid: 1000,
            xattrs: [{ name: byteStringOf("trusted.x"), value: Buffer.from("1") }],
          }),
          member("null", "character-device", "", { major: 1, minor: 3 }),
          member(".wh.deleted", "file"),
          member("opaque/.wh..wh..opq", "file"),
          member("opaque", "directory", "", { uid: 5 }),
          member("link", "symlink", "", { linkPath: byteStringOf("owned"), uid: 7 }),
        ]),
      ),
    });
    break;
  default:
    throw new Error(`no such verb: ${verb}`);
}
