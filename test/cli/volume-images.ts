/** Images with content for volumes: "plain", and "declared" which asks for volumes at /data and /fresh. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { must } from "../lib/command.ts";
import { fixtures, makeBusyboxTree, once } from "../lib/fixtures.ts";
import { type Sandbox, withSandbox } from "../lib/sandbox.ts";

/** Everything that a copy has to keep. */
const content = `
mkdir -p data/deep/er empty
printf hello > data/file; chown 1000:1001 data/file; chmod 4751 data/file
ln data/file data/deep/second
ln -s /etc/passwd data/link; chown -h 7:8 data/link
mkfifo -m 0620 data/fifo
mknod -m 0600 data/null c 1 3
setfattr -n user.note -v kept data/file
truncate -s 10M data/holes; printf end >> data/holes
touch -d @1000000000 data/file
setfattr -n user.top -v too data
chown 12:34 data; chmod 1770 data; chmod 0700 empty
touch -d @1000000001 data`;

function volumeTar(): Promise<string> {
  return once(join(fixtures, "volume-busybox-3.tar"), async (temporary) => {
    const tree = mkdtempSync(join(fixtures, "tree-"));
    try {
      await makeBusyboxTree(tree);
      chmodSync(tree, 0o755);
      await must(["sh", "-ec", content], { cwd: tree });
      await must([
        "tar",
        "-C",
        tree,
        "--xattrs",
        "--format=posix",
        "--numeric-owner",
        "-cSf",
        temporary,
        ".",
      ]);
    } finally {
      rmSync(tree, { recursive: true, force: true });
    }
  });
}

export async function withVolumeImages(body: (box: Sandbox) => Promise<void>): Promise<void> {
  await withSandbox(async (box) => {
    const tar = await volumeTar();
    await box.must(["import", "-c", 'CMD ["sh"]', tar, "plain"]);
    await box.must(["import", "-c", 'CMD ["sh"]', "-c", "VOLUME /data /fresh", tar, "declared"]);
    await body(box);
  });
}
