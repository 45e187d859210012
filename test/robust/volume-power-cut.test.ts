/** Volumes on a disk whose power is cut: what was told to be done is there, and nothing is half. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { must } from "../lib/command.ts";
import { compiled } from "../lib/compiled.ts";
import { needs } from "../lib/needs.ts";
import { gantryProgram, withSandbox } from "../lib/sandbox.ts";

const cut = compiled("test/lib/power-cut.c");
const skip =
  needs("root", "mkfs.ext4", "losetup", "unshare", ...cut.needs) ||
  (existsSync("/dev/loop-control") ? false : "needs /dev/loop-control");

const files = 300;
const bytes = 20_000;

/**
 * In mounts of its own: makes a store on the disk, has a volume made there, cuts the power, and says what the disk has
 * of the volume when the power is back: `whole N` or `left NAMES`.
 */
const script = `
set -e
mount --make-rprivate /
mount -o loop "$DIR/disk" "$DIR/mnt"
gantry() { "$GANTRY" --root "$DIR/mnt/root" --state "$STATE" "$@"; }
gantry import "$DIR/image.tar" big > /dev/null
sync -f "$DIR/mnt"
status=0
GANTRY_FAULT="$POINT" gantry create --name box -v data:/many big true > /dev/null || status=$?
echo "status $status"
"$CUT" "$DIR/mnt"
umount "$DIR/mnt"
# whoever settles layers in mounts of its own still has the file system
while losetup -j "$DIR/disk" | grep -q .; do sleep 0.05; done
mount -o loop "$DIR/disk" "$DIR/mnt"
cd "$DIR/mnt/root/volumes"
[ -d data ] || { echo "no volume"; exit; }
cd data
same=0
for file in _data/*; do
  [ -s "$file" ] && [ "$(stat -c %s:%u "$file")" = ${bytes}:7 ] && cmp -s "$file" "$DIR/image/many/\${file#_data/}" && same=$((same + 1))
done
echo "whole $same of $(ls _data | wc -l)"
[ ! -e copied ] || echo "copied $(ls copied | wc -l)"
cd /
umount "$DIR/mnt"
`;

async function volumeAfterCut(point: string): Promise<string> {
  return await withSandbox(async (box) => {
    const image = join(box.dir, "image");
    mkdirSync(join(image, "many"), { recursive: true });
    for (let index = 0; index < files; index++)
      writeFileSync(join(image, "many", `file${index}`), Buffer.alloc(bytes, `${index} `));
    await must(["chown", "-R", "7:8", join(image, "many")]);
    await must(["tar", "-C", image, "-cf", join(box.dir, "image.tar"), "."]);
    const disk = join(box.dir, "disk");
    writeFileSync(disk, "");
    truncateSync(disk, 128 * 1024 * 1024);
    await must(["mkfs.ext4", "-q", disk]);
    mkdirSync(join(box.dir, "mnt"));
    const env = {
      ...box.env,
      DIR: box.dir,
      STATE: box.state,
      GANTRY: gantryProgram,
      CUT: await cut.build(),
      POINT: point,
    };
    return await must(["unshare", "-m", "sh", "-c", script], { env });
  });
}

test("a volume whose container was made is whole after a power cut", { skip, timeout: 120_000 }, async () => {
  assert.equal(await volumeAfterCut("nowhere"), `status 0\nwhole ${files} of ${files}\n`);
});

test("so is one whose maker was killed as soon as it was done", { skip, timeout: 120_000 }, async () => {
  assert.equal(await volumeAfterCut("create-populated"), `status 137\nwhole ${files} of ${files}\n`);
});
