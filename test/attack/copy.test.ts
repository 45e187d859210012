/**
 * cp, export and commit of a container that swaps directories for symlinks meanwhile (CVE-2018-15664), plants links,
 * fifos and devices, or is a tar that climbs: nothing of the host is read, and nothing of it is written.
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { byteStringOf } from "../../src/wire/tar-format.ts";
import { tarArchive } from "../../src/wire/tar-writer.ts";
import { withBusybox } from "../cli/busybox.ts";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { programs } from "./cell.ts";

const skip = needs("root", "/bin/busybox", "cc");
const rounds = 40;

/** A container that swaps /swap/dir and /swap/link, which leads to a folder of the host, as fast as it can. */
async function swapper(box: Sandbox): Promise<{ secret: string }> {
  const { probe } = await programs();
  const secret = join(box.dir, "secret");
  mkdirSync(join(secret, "sub"), { recursive: true });
  for (const path of ["treasure", "sub/treasure"]) writeFileSync(join(secret, path), "of the host");
  const script = [
    "mkdir -p /swap/dir/sub; echo mine > /swap/dir/treasure; echo mine > /swap/dir/sub/treasure",
    `ln -s ${secret} /swap/link; exec /probe swap /swap/dir /swap/link`,
  ].join("; ");
  await box.must(["run", "-d", "--name", "evil", "-v", `${probe}:/probe:ro`, "busybox", "sh", "-c", script]);
  await until("it swaps", async () => (await box.must(["logs", "evil"])).includes("swapping"));
  return { secret };
}

test("cp out of a container that swaps a directory for a symlink reads nothing of the host", { skip }, () =>
  withBusybox(async (box) => {
    await swapper(box);
    let copied = 0;
    for (let round = 0; round < rounds; round++) {
      const out = join(box.dir, `out-${round}`);
      mkdirSync(out);
      const path = ["/swap/dir/treasure", "/swap/dir", "/swap/dir/sub", "/swap"][round % 4]!;
      const { code } = await box.gantry([
        "cp",
        "-q",
        ...(round % 3 === 0 ? ["-L"] : []),
        `evil:${path}`,
        out,
      ]);
      if (code === 0) copied++;
      const found = await command(["grep", "-r", "of the host", out]);
      assert.equal(found.stdout, "", `${path} in round ${round}`);
    }
    assert.ok(copied > 0, "some of them go through");
    await box.must(["rm", "-f", "evil"]);
  }),
);

test("cp into a container that swaps a directory for a symlink writes nothing on the host", { skip }, () =>
  withBusybox(async (box) => {
    const { secret } = await swapper(box);
    const source = join(box.dir, "source");
    mkdirSync(join(source, "sub"), { recursive: true });
    for (const path of ["planted", "treasure", "sub/planted", "sub/treasure"])
      writeFileSync(join(source, path), "planted");
    let copied = 0;
    for (let round = 0; round < rounds; round++) {
      const to = ["/swap/dir", "/swap/dir/sub", "/swap/dir/new"][round % 3]!;
      const { code } = await box.gantry(["cp", "-q", `${source}/.`, `evil:${to}`]);
      if (code === 0) copied++;
    }
    assert.ok(copied > 0, "some of them go through");
    assert.deepEqual(readdirSync(secret).sort(), ["sub", "treasure"]);
    assert.deepEqual(readdirSync(join(secret, "sub")), ["treasure"]);
    for (const path of ["treasure", "sub/treasure"])
      assert.equal(readFileSync(join(secret, path), "utf8"), "of the host");
    await box.must(["rm", "-f", "evil"]);
  }),
);

test("export and diff of a container that swaps take nothing of the host", { skip }, () =>
  withBusybox(async (box) => {
    await swapper(box);
    for (let round = 0; round < 8; round++) {
      const file = join(box.dir, "all.tar");
      await box.must(["export", "-o", file, "evil"]);
      assert.ok(!readFileSync(file).includes("of the host"), `round ${round}`);
      await box.must(["diff", "evil"]);
    }
    await box.must(["rm", "-f", "evil"]);
  }),
);

test("fifos, devices and links that lead out are copied as what they are", { skip }, () =>
  withBusybox(async (box) => {
    const script = [
      "mkdir /odd; mkfifo /odd/fifo; mknod /odd/null c 1 3; ln -s /proc/1/root/etc /odd/magic",
      "ln -s ../../../../../../etc/passwd /odd/up; echo ready; sleep 1000",
    ].join("; ");
    await box.must(["run", "-d", "--name", "odd", "busybox", "sh", "-c", script]);
    await until("it is ready", async () => (await box.must(["logs", "odd"])).includes("ready"));
    await box.must(["cp", "-q", "odd:/odd", box.dir]);
    assert.deepEqual(readdirSync(join(box.dir, "odd")).sort(), ["fifo", "magic", "null", "up"]);
    assert.ok(statSync(join(box.dir, "odd/fifo")).isFIFO());
    const inside = await box.gantry(["cp", "-q", "-L", "odd:/odd/up", join(box.dir, "passwd")]);
    assert.equal(inside.code, 0, inside.stderr);
    assert.match(readFileSync(join(box.dir, "passwd"), "utf8"), /^root:x?:0:0/);
    assert.ok(readFileSync(join(box.dir, "passwd"), "utf8").includes("user:"), "that of the container");
    const magic = await box.gantry(["cp", "-q", "-L", "odd:/odd/magic", join(box.dir, "magic")]);
    assert.equal(magic.code, 0, magic.stderr);
    const etc = readFileSync(join(box.dir, "magic/passwd"), "utf8");
    assert.ok(etc.includes("user:"), "a magic link is a text like others, in the root of the container");
    await box.must(["rm", "-f", "odd"]);
  }),
);

test(
  "an archive that brings a link and then a member below it stays in the container, as it does on the host",
  {
    skip,
  },
  () =>
    withBusybox(async (box) => {
      const secret = join(box.dir, "secret");
      mkdirSync(secret);
      const path = (text: string) => byteStringOf(text);
      const tar = tarArchive([
        { path: path("way"), type: "symlink", mode: 0o777, linkPath: path(secret) },
        { path: path("way/planted"), type: "file", mode: 0o644, data: Buffer.from("x") },
        { path: path("hard"), type: "link", mode: 0o644, linkPath: path("way/planted") },
      ]);
      for (const running of [true, false]) {
        await box.must(
          running
            ? ["run", "-d", "--name", "one", "busybox", "sleep", "1000"]
            : ["create", "--name", "one", "busybox"],
        );
        await box.gantry(["cp", "-", "one:/tmp"], { stdin: tar });
        assert.deepEqual(readdirSync(secret), []);
        await box.must(["rm", "-f", "one"]);
      }
    }),
);
