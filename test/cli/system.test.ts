/** What the store takes of the disk, what can be had back, and the cap that all of it keeps. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { pushLayout } from "../../scripts/push-layout.ts";
import { ended, must } from "../lib/command.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { needs } from "../lib/needs.ts";
import { type Sandbox, withSandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { rootTar, withBusybox } from "./busybox.ts";

const skip = needs("root");

/** An image of one file of random bytes, which nothing packs. */
async function importBytes(box: Sandbox, name: string, size: number, options: readonly string[] = []) {
  const tree = join(box.dir, `tree-${name.replace(/\W/g, "-")}-${size}`);
  mkdirSync(tree);
  writeFileSync(join(tree, "bytes"), randomBytes(size));
  const tar = `${tree}.tar`;
  await must(["tar", "-C", tree, "-cf", tar, "."]);
  return await box.gantry([...options, "import", tar, name]);
}

async function duOf(path: string): Promise<number> {
  return Number((await must(["du", "-s", "--block-size=1", path])).split("\t")[0]);
}

interface Usage {
  readonly Images: readonly {
    readonly RepoTags: readonly string[];
    readonly Size: number;
    readonly SharedSize: number;
    readonly Containers: number;
  }[];
  readonly Containers: readonly { readonly Names: string; readonly Size: number; readonly SizeRw: number }[];
  readonly Volumes: readonly { readonly Name: string; readonly Links: number; readonly Size: number }[];
}

const usageOf = async (box: Sandbox) =>
  JSON.parse(await box.must(["system", "df", "-v", "--format", "json"])) as Usage;

test("system df is what du finds", { skip }, () =>
  withBusybox(async (box) => {
    await importBytes(box, "big", 20_000_000);
    await box.must(["run", "--name", "writer", "busybox", "sh", "-c", "head -c 5000000 /dev/urandom > /x"]);
    await box.must(["run", "-d", "--name", "running", "busybox", "sleep", "600"]);
    await box.must([
      "run",
      "--rm",
      "-v",
      "data:/d",
      "busybox",
      "sh",
      "-c",
      "head -c 2000000 /dev/urandom > /d/x",
    ]);
    const { Images, Containers, Volumes } = await usageOf(box);
    const counted = [...Images, ...Containers, ...Volumes].reduce((sum, { Size }) => sum + Size, 0);
    const found = await duOf(box.root);
    assert.ok(Math.abs(counted - found) < found * 0.01, `${counted} counted, ${found} found`);
    const writer = Containers.find(({ Names }) => Names === "writer");
    assert.ok(writer && writer.SizeRw >= 5_000_000 && writer.SizeRw < 5_100_000, `${writer?.SizeRw}`);
    const [heading, images, containers, volumes, cache] = (await box.must(["system", "df"])).split("\n");
    assert.match(heading!, /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$/);
    // the image without containers can go, that of the running one cannot
    assert.match(images!, /^Images +2 +1 +4\d\.?\d*MB +40\.?\d*MB \(\d\d%\)$/);
    assert.match(containers!, /^Containers +2 +1 +5\.\d+MB +5\.\d+MB \(\d\d%\)$/);
    assert.match(volumes!, /^Local Volumes +1 +0 +2\.\d+MB +2\.\d+MB \(100%\)$/);
    assert.match(cache!, /^Build Cache +0 +0 +0B +0B$/);
    const verbose = await box.must(["system", "df", "-v"]);
    assert.match(
      verbose,
      /^Images space usage:\n\nREPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE/,
    );
    assert.match(
      verbose,
      /\nContainers space usage:\n\nCONTAINER ID +IMAGE +COMMAND +LOCAL VOLUMES +SIZE +CREATED/,
    );
    assert.match(verbose, /\nLocal Volumes space usage:\n\nVOLUME NAME +LINKS +SIZE\ndata +0 +2\.\d+MB\n/);
    await box.must(["rm", "-f", "writer", "running"]);
  }),
);

test("what two images have in common counts once", { skip }, () =>
  withBusybox(async (box) => {
    // the same layer under another config
    await box.must(["import", "-c", "ENV OTHER=yes", await rootTar(), "other"]);
    const { Images } = await usageOf(box);
    assert.equal(Images.length, 2);
    const [one, two] = Images;
    assert.equal(one!.SharedSize, two!.SharedSize);
    assert.ok(one!.SharedSize > 0.9 * one!.Size, "the layer and its blob");
    const total = await duOf(box.root);
    assert.ok(one!.Size + two!.Size - one!.SharedSize < total * 1.01);
  }),
);

test("container prune removes what does not run, and asks before", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["create", "--name", "one", "--label", "keep=yes", "busybox"]);
    await box.must(["run", "--name", "two", "busybox", "sh", "-c", "head -c 3000000 /dev/urandom > /x"]);
    await box.must(["run", "-d", "--name", "three", "busybox", "sleep", "600"]);
    const no = await box.gantry(["container", "prune"], { stdin: "n\n" });
    assert.equal(
      no.stdout,
      "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ",
    );
    assert.equal((await box.must(["ps", "-aq"])).split("\n").length, 3);
    const old = await box.must(["container", "prune", "-f", "--filter", "until=1h"]);
    assert.equal(old, "Total reclaimed space: 0B");
    const others = await box.gantry(["container", "prune", "--filter", "label!=keep"], { stdin: "y\n" });
    assert.match(others.stdout, /Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 3\.\d+MB\n$/);
    assert.equal(
      await box.must(["container", "prune", "-f", "--filter", "label=keep=no"]),
      "Total reclaimed space: 0B",
    );
    assert.match(
      await box.must(["container", "prune", "-f"]),
      new RegExp(`^Deleted Containers:\n${id}\n\nTotal`),
    );
    assert.equal(await box.must(["ps", "-a", "--format", "{{.Names}}"]), "three");
    const bad = await box.gantry(["container", "prune", "-f", "--filter", "color=red"]);
    assert.deepEqual([bad.code, bad.stderr], [1, "gantry: invalid filter 'color'\n"]);
    await box.must(["rm", "-f", "three"]);
  }),
);

test("image prune removes images without names, with -a those without containers", { skip }, () =>
  withBusybox(async (box) => {
    assert.equal((await importBytes(box, "data", 3_000_000)).code, 0);
    assert.equal((await importBytes(box, "data", 4_000_000)).code, 0, "the first has lost its name now");
    assert.equal((await box.must(["images", "-q"])).split("\n").length, 3);
    const dangling = await box.must(["image", "prune", "-f"]);
    assert.match(
      dangling,
      /^Deleted Images:\n(?:deleted: sha256:[0-9a-f]{64}\n)+\nTotal reclaimed space: 6\.\d+MB$/,
    );
    await box.must(["create", "--name", "user", "busybox"]);
    assert.equal(
      await box.must(["image", "prune", "-af", "--filter", "label=nosuch"]),
      "Total reclaimed space: 0B",
    );
    const all = await box.must(["image", "prune", "-af"]);
    assert.match(all, /^Deleted Images:\nuntagged: data:latest\n/);
    assert.equal(
      await box.must(["images", "--format", "{{.Repository}}"]),
      "busybox",
      "a container was made of it",
    );
    await box.must(["rm", "user"]);
    const everything = await box.must(["system", "prune", "-af"]);
    assert.match(everything, /untagged: busybox:latest\n/);
    assert.equal(await box.must(["images", "-q"]), "");
    const { Images } = await usageOf(box);
    assert.deepEqual(Images, []);
    assert.equal(
      await box.must(["system", "df", "--format", "{{.Type}} {{.Size}}"]),
      "Images 0B\nContainers 0B\nLocal Volumes 0B\nBuild Cache 0B",
    );
  }),
);

test("system prune removes stopped containers and pods and tells what it would remove", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["pod", "create", "--name", "web"]);
    await box.must(["run", "--name", "one", "--pod", "web", "busybox", "true"]);
    await box.must(["pod", "stop", "web"]);
    await box.must(["create", "--name", "two", "-v", "/anonymous", "-v", "named:/named", "busybox"]);
    const asked = await box.gantry(["system", "prune"], { stdin: "" });
    assert.match(
      asked.stdout,
      /^WARNING! This will remove:\n {2}- all stopped containers\n {2}- all stopped pods\n {2}- all dangling images\n/,
    );
    const done = await box.must(["system", "prune", "-f"]);
    assert.match(
      done,
      /Deleted Containers:\n[0-9a-f]{64}\n\nDeleted Pods:\n[0-9a-f]{64}\n\nTotal reclaimed space:/,
    );
    assert.equal(await box.must(["ps", "-aq"]), "");
    assert.equal(await box.must(["pod", "ps", "-q"]), "");
    assert.equal((await box.must(["volume", "ls", "-q"])).split("\n").length, 2, "volumes only if told to");
    const old = await box.gantry(["system", "prune", "-f", "--volumes", "--filter", "until=1h"]);
    assert.deepEqual(
      [old.code, old.stderr],
      [1, 'gantry: ERROR: The "until" filter is not supported with "--volumes"\n'],
    );
    assert.match(
      await box.must(["system", "prune", "-f", "--volumes"]),
      /^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal/,
    );
    assert.equal(await box.must(["volume", "ls", "-q"]), "named");
    await box.must(["volume", "rm", "named"]);
    assert.equal(await box.must(["images", "-q"]).then((ids) => ids.split("\n").length), 1);
  }),
);

test("an import past the disk limit is refused with the reason, and leaves nothing", { skip }, () =>
  withBusybox(async (box) => {
    const before = await duOf(box.root);
    const limit = ["--disk-limit", String(before + 40_000_000)];
    const refused = await importBytes(box, "big", 30_000_000, limit);
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /import image: the disk limit of \d+ MB leaves [\d.]+ MB: images take [\d.]+ MB, containers [\d.]+ MB, volumes [\d.]+ MB, and logs may grow by [\d.]+ MB; remove what is not needed \(gantry system prune -a\) or raise the limit/,
    );
    assert.ok((await duOf(box.root)) < before + 100_000, "nothing of it stays");
    assert.equal((await importBytes(box, "small", 10_000_000, limit)).code, 0);
    assert.ok((await duOf(box.root)) <= before + 40_000_000);
  }),
);

test("a pull past the disk limit is refused before its bytes are fetched", { skip }, () =>
  withSandbox(async (box) => {
    const server = box.spawn(["registry", "serve", "--listen", "127.0.0.1:0"]);
    const end = ended(server);
    let output = "";
    server.stdout!.on("data", (chunk) => {
      output += chunk;
    });
    const address = await until("the registry listens", () => /^Listening on (\S+)\n/.exec(output)?.[1]);
    await pushLayout(await busyboxLayout(), `http://${address}`, "app", "1");
    const refused = await box.gantry(["--disk-limit", "100k", "pull", `${address}/app:1`]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /pull "127\.0\.0\.1:\d+\/app:1": the disk limit of 0\.1 MB leaves/);
    assert.equal(await box.must(["images", "-q"]), "");
    assert.equal(await box.must(["system", "df", "--format", "{{.Size}}"]), "0B\n0B\n0B\n0B");
    assert.equal((await box.gantry(["--disk-limit", "100m", "pull", `${address}/app:1`])).code, 0);
    server.kill("SIGINT");
    await end;
    await box.must(["system", "prune", "-af"]);
  }),
);

test("with onDiskLimit prune images without containers make room, those with containers stay", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "user", "--log-driver", "none", "busybox"]);
    assert.equal((await importBytes(box, "old", 10_000_000)).code, 0);
    const settings = join(box.dir, "settings.json");
    const used = await duOf(box.root);
    writeFileSync(settings, JSON.stringify({ diskLimit: String(used + 8_000_000), onDiskLimit: "prune" }));
    const tree = join(box.dir, "tree-new");
    mkdirSync(tree);
    writeFileSync(join(tree, "bytes"), randomBytes(9_000_000));
    await must(["tar", "-C", tree, "-cf", `${tree}.tar`, "."]);
    const env = { GANTRY_SETTINGS: settings };
    const done = await box.gantry(["import", `${tree}.tar`, "new"], { env });
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /images without containers were removed: the disk limit was reached/);
    assert.equal(await box.must(["images", "--format", "{{.Repository}}"]), "new\nbusybox");
    await box.must(["rm", "user"]);
  }),
);

test(
  "a container whose log might pass the disk limit is refused, and so is one without a bound",
  { skip },
  () =>
    withBusybox(async (box) => {
      const used = await duOf(box.root);
      const limit = ["--disk-limit", String(used + 10_000_000)];
      const run = ["run", "--rm"];
      const wide = await box.gantry([...limit, ...run, "busybox", "true"]);
      assert.equal(wide.code, 125);
      assert.match(wide.stderr, /^gantry: create container: the disk limit of .* leaves .* MB/);
      const narrow = ["--log-opt", "max-size=1m", "--log-opt", "max-file=2"];
      assert.equal((await box.gantry([...limit, ...run, ...narrow, "busybox", "true"])).code, 0);
      const boundless = await box.gantry([...limit, ...run, "--log-opt", "max-size=-1", "busybox", "true"]);
      assert.match(boundless.stderr, /a log without a bound cannot be had where a disk limit is set/);
      await box.must(["create", "--name", "full", "--log-driver", "none", "busybox"]);
      const past = await box.gantry(["--disk-limit", "1m", "start", "full"]);
      assert.equal(past.code, 1);
      assert.match(past.stderr, /start container "full": the disk limit of 1\.0 MB leaves 0\.0 MB/);
      await box.must(["rm", "full"]);
      assert.deepEqual(
        existsSync(join(box.root, "containers")) ? readdirSync(join(box.root, "containers")) : [],
        [],
      );
    }),
);
