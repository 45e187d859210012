/** The folder that becomes /opt/gantry of a Debian machine: what is built, the tests, and Bun to run them. */
import { copyFileSync, cpSync, globSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { rootTar } from "../cli/busybox.ts";
import { compiled } from "../lib/compiled.ts";
import { busyboxTar } from "../lib/fixtures.ts";
import { top } from "../lib/sandbox.ts";
import { terminalPeer } from "../lib/terminal-peer.ts";

/** Makes the tree, hands it over, and removes it: a machine has its own copy once it runs. */
export async function withSuiteTree<T>(body: (tree: string) => Promise<T>): Promise<T> {
  const tree = mkdtempSync(join(tmpdir(), "gantry-suite-"));
  try {
    for (const folder of ["src", "test", "scripts"])
      cpSync(join(top, folder), join(tree, folder), { recursive: true });
    for (const file of ["package.json", "tsconfig.json"]) copyFileSync(join(top, file), join(tree, file));
    for (const folder of ["dist", "node_modules/.bin"]) mkdirSync(join(tree, folder), { recursive: true });
    for (const program of globSync("dist/gantry*", { cwd: top }))
      copyFileSync(join(top, program), join(tree, "dist", basename(program)));
    copyFileSync(join(top, "node_modules/.bin/bun"), join(tree, "node_modules/.bin/bun"));
    copyFileSync(await busyboxTar(), join(tree, "busybox.tar"));
    mkdirSync(join(tree, "build/fixtures"), { recursive: true });
    const image = await rootTar();
    copyFileSync(image, join(tree, "build/fixtures", basename(image)));
    copyFileSync(join(top, "packaging/gantry.service"), join(tree, "gantry.service"));
    for (const program of [terminalPeer, compiled("test/kernel/agent.c")]) {
      const path = await program.build();
      copyFileSync(path, join(tree, "build/fixtures", basename(path)));
    }
    return await body(tree);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
