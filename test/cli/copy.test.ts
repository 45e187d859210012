/** cp, both ways, by docker's rules for paths, with running and with stopped containers. */
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { childrenOf } from "../lib/children.ts";
import { command, must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { gantryProgram, type Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

/** A container with some files, which runs or has run. */
async function make(
  box: Sandbox,
  name: string,
  running: boolean,
  ...options: readonly string[]
): Promise<void> {
  const script = [
    "mkdir -p /dir/sub /link-target",
    "echo one > /dir/file; echo two > /dir/sub/file; ln /dir/file /dir/twin",
    "ln -s ../link-target /dir/link; ln -s /nowhere /dir/dangling; chown 33:44 /dir/file; chmod 4755 /dir/file",
    "echo ready",
    running ? "sleep 1000" : "true",
  ].join("; ");
  await box.must(["run", "-d", "--name", name, ...options, "busybox", "sh", "-c", script]);
  await until("it is ready", async () => (await box.must(["logs", name])).includes("ready"));
  if (!running) await box.must(["wait", name]);
}

/** What a path of the container's root is, asked of a copy. */
async function inside(box: Sandbox, name: string, path: string): Promise<string> {
  const { stdout, code, stderr } = await command(
    [
      "sh",
      "-c",
      `"$0" --root "$1" --state "$2" cp "$3" - | tar -xOf -`,
      gantryProgram,
      box.root,
      box.state,
      `${name}:${path}`,
    ],
    {
      env: box.env,
    },
  );
  assert.equal(code, 0, stderr);
  return stdout;
}

for (const running of [true, false]) {
  const kind = running ? "running" : "stopped";

  test(`cp out of a ${kind} container`, { skip }, () =>
    withBusybox(async (box) => {
      await make(box, "web", running);
      const out = join(box.dir, "out");
      mkdirSync(out);
      const cp = (...args: readonly string[]) => box.gantry(["cp", ...args]);
      const done = await cp("web:/dir", out);
      assert.deepEqual([done.code, done.stdout], [0, ""]);
      assert.match(done.stderr, new RegExp(`^Successfully copied [0-9.]+kB to ${out}\n$`));
      assert.deepEqual(readdirSync(join(out, "dir")).sort(), ["dangling", "file", "link", "sub", "twin"]);
      assert.equal(readFileSync(join(out, "dir/sub/file"), "utf8"), "two\n");
      assert.equal(readlinkSync(join(out, "dir/link")), "../link-target");
      const file = statSync(join(out, "dir/file"));
      assert.equal(file.ino, statSync(join(out, "dir/twin")).ino, "hard links stay hard links");
      assert.deepEqual([file.mode & 0o7777, file.uid, file.gid], [0o4755, 0, 0]);
      await box.must(["cp", "-q", "-a", "web:/dir/.", join(out, "named")]);
      const kept = statSync(join(out, "named/file"));
      assert.deepEqual([kept.uid, kept.gid], [33, 44], "-a keeps owners");
      await box.must(["cp", "web:dir/file", join(out, "renamed")]);
      assert.equal(readFileSync(join(out, "renamed"), "utf8"), "one\n");
      await box.must(["cp", "web:/dir/link", out]);
      assert.equal(readlinkSync(join(out, "link")), "../link-target");
      await box.must(["cp", "-L", "web:/dir/link", join(out, "followed")]);
      assert.ok(lstatSync(join(out, "followed")).isDirectory());
      await box.must(["cp", "web:/dir/link/../dir/sub/file", join(out, "by-link")]);
      assert.equal(readFileSync(join(out, "by-link"), "utf8"), "two\n");
      const fails = async (source: string, destination: string, message: RegExp) => {
        const { code, stderr } = await cp(source, destination);
        assert.equal(code, 1, source);
        assert.match(stderr, message);
      };
      await fails("web:/nope", out, /^gantry: Could not find the file \/nope in container web\n$/);
      await fails("web:/dir/file/", out, /not a directory/);
      await fails("web:/dir", join(out, "renamed"), /cannot copy directory/);
      await fails("web:/dir/file", join(out, "missing/"), /no such directory/);
      await fails(
        "web:/dir/file",
        join(out, "no/where"),
        /invalid output path: directory ".*no" does not exist/,
      );
      await fails("web:/dir/file", "web:/x", /copying between containers is not supported/);
      await fails("./x", "./y", /must specify at least one container source/);
      mkdirSync(join(out, "clash/file"), { recursive: true });
      await fails("web:/dir/.", join(out, "clash"), /cannot overwrite directory ".*" with non-directory/);
      writeFileSync(join(out, "clash2"), "");
      await fails("web:/dir/.", join(out, "clash2"), /cannot copy directory/);
      await box.must(["rm", "-f", "web"]);
    }),
  );

  test(`cp into a ${kind} container`, { skip }, () =>
    withBusybox(async (box) => {
      const bound = join(box.dir, "bound");
      mkdirSync(bound);
      await make(box, "web", running, "-u", "0", "-v", `${bound}:/bound`);
      const source = join(box.dir, "source");
      mkdirSync(join(source, "deep"), { recursive: true });
      writeFileSync(join(source, "file"), "new\n");
      writeFileSync(join(source, "deep/file"), Buffer.alloc(3_000_001, "x"));
      chmodSync(join(source, "file"), 0o640);
      chownSync(join(source, "file"), 12, 34);
      utimesSync(join(source, "file"), 1_000_000, 1_000_000);
      symlinkSync("file", join(source, "alias"));
      const into = (...args: readonly string[]) => box.must(["cp", "-q", ...args]);
      await into(source, "web:/dir");
      assert.equal(await inside(box, "web", "/dir/source/file"), "new\n");
      assert.equal((await inside(box, "web", "/dir/source/deep/file")).length, 3_000_001);
      await into(`${source}/.`, "web:/made");
      assert.equal(await inside(box, "web", "/made/file"), "new\n");
      await into(join(source, "file"), "web:/dir/sub/file");
      assert.equal(await inside(box, "web", "/dir/sub/file"), "new\n");
      await into(join(source, "file"), "web:/dir/link");
      assert.equal(
        await inside(box, "web", "/link-target/file"),
        "new\n",
        "a symlink to a directory is followed",
      );
      await into(join(source, "file"), "web:/dir/dangling");
      assert.equal(await inside(box, "web", "/nowhere"), "new\n", "and one to nothing names what is made");
      await into(join(source, "alias"), "web:/dir/alias");
      await into("-L", join(source, "alias"), "web:/dir/alias2");
      assert.equal(await inside(box, "web", "/dir/alias2"), "new\n");
      await into(join(source, "file"), "web:/bound/");
      assert.equal(readFileSync(join(bound, "file"), "utf8"), "new\n", "what is bound into it is written to");
      const listed = await command(
        [
          "sh",
          "-c",
          `"$0" --root "$1" --state "$2" cp web:/dir - | tar --numeric-owner -tvf -`,
          gantryProgram,
          box.root,
          box.state,
        ],
        { env: { ...box.env, TZ: "UTC" } },
      );
      assert.match(listed.stdout, /^-rw-r----- 12\/34 +4 1970-01-12 13:46 dir\/source\/file$/m);
      assert.match(listed.stdout, /^lrwxrwxrwx .* dir\/alias -> file$/m);
      const fails = async (from: string, to: string, message: RegExp) => {
        const { code, stderr } = await box.gantry(["cp", from, to]);
        assert.equal(code, 1, to);
        assert.match(stderr, message);
      };
      await fails(
        join(source, "file"),
        "web:/no/where",
        /^gantry: Could not find the file \/no in container web\n$/,
      );
      await fails(source, "web:/dir/file", /cannot copy directory/);
      await fails(join(source, "file"), "web:/missing/", /no such directory/);
      await fails(join(source, "nope"), "web:/", /^gantry: lstat .*nope: no such file or directory\n$/);
      writeFileSync(join(source, "sub"), "a file where a directory is");
      await fails(`${source}/.`, "web:/dir", /cannot overwrite directory ".*sub" with non-directory/);
      await box.must(["rm", "-f", "web"]);
    }),
  );

  test(`cp of tar streams, into a ${kind} container and out`, { skip }, () =>
    withBusybox(async (box) => {
      await make(box, "web", running);
      await must(["sh", "-c", "mkdir -p t/in && echo hello > t/in/.wh.odd && tar -C t -cf t.tar in"], {
        cwd: box.dir,
      });
      const tar = readFileSync(join(box.dir, "t.tar"));
      const write = (to: string, ...options: readonly string[]) =>
        box.gantry(["cp", ...options, "-", to], { stdin: tar });
      assert.equal((await write("web:/dir")).code, 0);
      assert.equal(await inside(box, "web", "/dir/in/.wh.odd"), "hello\n", "no layer: no whiteouts");
      const user = running ? ["run", "-d"] : ["create"];
      await box.must([...user, "--name", "user", "-u", "7:8", "busybox", "sleep", "1000"]);
      assert.equal((await write("user:/tmp", "-a")).code, 0);
      const owners = await command(
        [
          ...["sh", "-c", `"$0" --root "$1" --state "$2" cp user:/tmp/in/. - | tar --numeric-owner -tvf -`],
          ...[gantryProgram, box.root, box.state],
        ],
        { env: box.env },
      );
      assert.match(owners.stdout, / 7\/8 .* \.\/\.wh\.odd$/m);
      const missing = await write("web:/dir/nope");
      assert.match(missing.stderr, /Could not find the file \/dir\/nope in container web/);
      const file = await write("web:/dir/file");
      assert.match(file.stderr, /destination "web:\/dir\/file" must be a directory/);
      const climbing = await command(["sh", "-c", "tar -P -cf - --transform 's,^,../../,' -C t in"], {
        cwd: box.dir,
      });
      assert.equal(climbing.code, 0);
      const evil = await box.gantry(["cp", "-", "web:/dir"], { stdin: climbing.stdout });
      assert.match(evil.stderr, /leaves the root/);
      const broken = await box.gantry(["cp", "-", "web:/dir"], { stdin: "no tar at all".repeat(100) });
      assert.equal(broken.code, 1);
      await box.must(["rm", "-f", "web", "user"]);
    }),
  );
}

test("a stopped container starts when a copy is over, and a read-only one takes nothing", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "web", "busybox", "cat", "/put"]);
    writeFileSync(join(box.dir, "put"), "it is there\n");
    await box.must(["cp", "-q", join(box.dir, "put"), "web:/"]);
    assert.equal(await box.must(["start", "-a", "web"]), "it is there");
    await box.must(["create", "--name", "ro", "--read-only", "busybox", "true"]);
    assert.match(
      (await box.gantry(["cp", join(box.dir, "put"), "ro:/"])).stderr,
      /container rootfs is marked read-only/,
    );
    await box.must(["run", "-d", "--name", "ro2", "--read-only", "--tmpfs", "/t", "busybox", "sleep", "60"]);
    assert.match(
      (await box.gantry(["cp", join(box.dir, "put"), "ro2:/"])).stderr,
      /container rootfs is marked read-only/,
    );
    await box.must(["cp", "-q", join(box.dir, "put"), "ro2:/t"]);
    await box.must(["cp", "-q", "ro2:/t/put", join(box.dir, "back")]);
    assert.ok(existsSync(join(box.dir, "back")));
    await box.must(["rm", "-f", "web", "ro", "ro2"]);
  }),
);

test("what is mounted in a container that never ran is seen, and written to", { skip }, () =>
  withBusybox(async (box) => {
    await box.must([
      "create",
      "--name",
      "web",
      "--read-only",
      "-v",
      "data:/data",
      "busybox",
      "cat",
      "/data/put",
    ]);
    writeFileSync(join(box.dir, "put"), "in the volume\n");
    await box.must(["cp", "-q", join(box.dir, "put"), "web:/data"]);
    assert.equal(await inside(box, "web", "/data/put"), "in the volume\n");
    assert.equal(await box.must(["diff", "web"]), "");
    assert.equal(await box.must(["start", "-a", "web"]), "in the volume");
    await box.must(["rm", "web"]);
    await box.must(["volume", "rm", "data"]);
  }),
);

test("nothing is left of a copy whose client was killed", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "web", "busybox", "true"]);
    const client = box.spawn(["cp", "-", "web:/"]);
    const tar = await must(["sh", "-c", "head -c 2000000 /dev/zero > big && tar -cf - big | base64"], {
      cwd: box.dir,
    });
    client.stdin!.on("error", () => {});
    client.stdin!.write(Buffer.from(tar, "base64").subarray(0, 1_500_000));
    await until(
      "it has begun",
      () => existsSync(`/proc/${client.pid}/task`) && childrenOf(client.pid!).length > 0,
    );
    client.kill("SIGKILL");
    await until("its executor is gone", () => childrenOf(client.pid!).length === 0);
    // its lock goes with it
    await box.must(["start", "web"]);
    assert.equal(await box.must(["wait", "web"]), "0");
    await box.must(["rm", "web"]);
  }),
);
