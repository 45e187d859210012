/**
 * What lies in the folder that a command is called in, or in a home, is no code of that command and no setting: the
 * engine that runs our TypeScript would take some of it (bunfig.toml, .env, tsconfig.json, package.json).
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { command } from "../lib/command.ts";
import { busyboxTar } from "../lib/fixtures.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram, gantryProgram } from "../lib/sandbox.ts";

function hostileFolder() {
  const dir = mkdtempSync(join(tmpdir(), "gantry-hostile-"));
  const mark = join(dir, "ran");
  const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
  write("steal.js", `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "code");`);
  write("executor", `#!/bin/sh\necho executor > ${mark}\nexit 1\n`);
  chmodSync(join(dir, "executor"), 0o755);
  const preload = `preload = [${JSON.stringify(join(dir, "steal.js"))}]\n`;
  for (const name of ["bunfig.toml", ".bunfig.toml"]) write(name, preload);
  for (const name of [".env", ".env.local", ".env.production"])
    write(name, `GANTRY_EXECUTOR=${dir}/executor\nBUN_OPTIONS=--preload=${dir}/steal.js\n`);
  write("package.json", '{"type":"commonjs","imports":{"#*":"./steal.js"},"bun":{"preload":["./steal.js"]}}');
  write("tsconfig.json", '{"compilerOptions":{"paths":{"*":["./steal.js"]}}}');
  for (const name of ["node:fs", "fs", "path"]) {
    mkdirSync(join(dir, "node_modules", name), { recursive: true });
    write(`node_modules/${name}/index.js`, 'require("../../steal.js");');
  }
  return { dir, mark, [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

test("commands that are called in a hostile folder run nothing of it", {
  skip: needs("root", gantryProgram, gantryOciProgram),
}, async () => {
  using hostile = hostileFolder();
  const { dir: cwd, mark } = hostile;
  const env = { HOME: cwd, XDG_CONFIG_HOME: cwd };
  const gantry = [gantryProgram, "--root", join(cwd, "store"), "--state", join(cwd, "state")];
  const oci = [gantryOciProgram, "--root", join(cwd, "oci")];
  for (const [status, ...argv] of [
    [0, ...gantry, "version"],
    [0, ...gantry, "import", await busyboxTar(), "app"],
    [0, ...gantry, "run", "--rm", "app", "true"],
    [125, ...gantry, "run", "--pull", "never", "nosuch"],
    [0, ...oci, "features"],
    [1, ...oci, "run", "nosuch"],
  ] as const) {
    const { code, stderr } = await command(argv.map(String), { cwd, env });
    assert.equal(code, status, stderr);
    assert.ok(!existsSync(mark), `${argv.join(" ")}: ${stderr}`);
  }
});
