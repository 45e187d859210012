/** A sandbox whose store holds the image "busybox": static busybox, a user named "user", readable by everybody. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { must } from "../lib/command.ts";
import { fixtures, makeBusyboxTree, once, sameBytes } from "../lib/fixtures.ts";
import { type Sandbox, withSandbox } from "../lib/sandbox.ts";

export function rootTar(): Promise<string> {
  return once(join(fixtures, "readable-busybox.tar"), async (temporary) => {
    const tree = mkdtempSync(join(fixtures, "tree-"));
    try {
      await makeBusyboxTree(tree);
      chmodSync(tree, 0o755);
      await must(["tar", "-C", tree, ...sameBytes, "-cf", temporary, "."]);
    } finally {
      rmSync(tree, { recursive: true, force: true });
    }
  });
}

export async function importBusybox(box: Sandbox): Promise<void> {
  await box.must(["import", "-c", 'CMD ["sh"]', "-c", "ENV FROM_IMAGE=yes", await rootTar(), "busybox"]);
}

export async function withBusybox(body: (box: Sandbox) => Promise<void>): Promise<void> {
  await withSandbox(async (box) => {
    await importBusybox(box);
    await body(box);
  });
}
