/** cp, export and commit keep what a file has: attributes, holes, links, owners, modes; as the container sees them. */
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Engine } from "../../src/index.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root", "setfattr", "getfattr", "tar");
const holeBytes = 8 * 1024 * 1024;

/** `cap_net_raw=ep`, of the host's users (linux/capability.h, VFS_CAP_REVISION_2). */
const capability = "0x0100000200200000000000000000000000000000";
/** u::rw-, u:7:r--, g::r--, g:9:rw-, m::rw-, o::--- */
const acl = (user: number, group: number) => {
  const id = (value: number) => Buffer.from(Uint32Array.of(value).buffer).toString("hex");
  return `0x0200000001000600ffffffff02000400${id(user)}04000400ffffffff08000600${id(group)}10000600ffffffff20000000ffffffff`;
};

async function setAttribute(path: string, name: string, value: string): Promise<void> {
  await must(["setfattr", "-h", "-n", name, "-v", value, path]);
}

/** A directory with one of everything, owned by 12:34. */
async function makeTree(at: string): Promise<void> {
  mkdirSync(join(at, "sub"), { recursive: true });
  const file = join(at, "file");
  writeFileSync(file, "text");
  chownSync(file, 12, 34);
  chmodSync(file, 0o6755);
  linkSync(file, join(at, "sub/twin"));
  for (const [name, value] of [
    ["user.note", "plain"],
    ["user.a=b%", "odd"],
    ["trusted.note", "of root"],
    ["trusted.binary", "0x00ff0a3d"],
    ["security.capability", capability],
  ] as const)
    await setAttribute(file, name, value);
  const listed = join(at, "listed");
  writeFileSync(listed, "");
  chownSync(listed, 5, 6);
  await setAttribute(listed, "system.posix_acl_access", acl(7, 9));
  await setAttribute(join(at, "sub"), "system.posix_acl_default", acl(7, 9));
  await setAttribute(join(at, "sub"), "user.dir", "yes");
  chownSync(join(at, "sub"), 3, 4);
  symlinkSync("file", join(at, "link"));
  await setAttribute(join(at, "link"), "trusted.link", "mine");
  lchownSync(join(at, "link"), 1, 2);
  await must(["mkfifo", join(at, "fifo")]);
  await setAttribute(join(at, "fifo"), "trusted.pipe", "here");
  // data between two holes, and nothing but a hole
  const sparse = openSync(join(at, "sparse"), "w");
  writeSync(sparse, "middle", holeBytes);
  closeSync(sparse);
  truncateSync(join(at, "sparse"), 2 * holeBytes);
  writeFileSync(join(at, "hole"), "");
  truncateSync(join(at, "hole"), holeBytes);
}

/** All that a test compares; blocks only where holes are to stay. */
async function describe(at: string): Promise<string> {
  const stat = "stat -c '%n %F %a %u:%g %s %h %t,%T %y' . * sub/*";
  const attributes = "getfattr -h -d -m - -e hex . * sub/* 2>&1 | grep -v '^$'";
  return await must(["sh", "-c", `cd "$1" && ${stat} && ${attributes}`, "sh", at]);
}

const blocks = (path: string) => lstatSync(path).blocks;

function assertHoles(at: string): void {
  for (const name of ["sparse", "hole"])
    assert.ok(blocks(join(at, name)) < 256, `${name}: ${blocks(join(at, name))}`);
  const text = readFileSync(join(at, "sparse"));
  assert.equal(text.indexOf("middle"), holeBytes);
  assert.ok(text.every((byte, index) => byte === 0 || (index >= holeBytes && index < holeBytes + 6)));
}

for (const running of [true, false])
  test(
    `what goes into a container that ${running ? "runs" : "is at rest"} comes out the same`,
    { skip },
    () =>
      withBusybox(async (box) => {
        const source = join(box.dir, "source");
        await makeTree(source);
        const before = await describe(source);
        await box.must(["create", "--name", "box", "busybox", "sleep", "1000"]);
        if (running) await box.must(["start", "box"]);
        await box.must(["cp", `${source}/.`, "box:/copied"]);
        await box.must(["cp", "-a", "box:/copied/.", join(box.dir, "back")]);
        assert.equal(await describe(join(box.dir, "back")), before);
        assertHoles(join(box.dir, "back"));
        await box.must(["start", "box"]);
        assert.match(await box.must(["exec", "box", "du", "-k", "/copied/sparse"]), /^\d{1,3}\s/);

        const tar = join(box.dir, "export.tar");
        await box.must(["export", "-o", tar, "box"]);
        const exported = join(box.dir, "exported");
        mkdirSync(exported);
        await must(["tar", "-C", exported, "--xattrs", "--xattrs-include=*", "-xpf", tar]);
        assert.equal(await describe(join(exported, "copied")), before);

        await box.must(["commit", "box", "made"]);
        await box.must(["create", "--name", "next", "made"]);
        await box.must(["cp", "-a", "next:/copied/.", join(box.dir, "again")]);
        assert.equal(await describe(join(box.dir, "again")), before);
        await box.must(["rm", "-f", "box", "next"]);
      }),
  );

test("attributes of overlay itself stay where they are", { skip }, () =>
  withBusybox(async (box) => {
    await box.must([
      "run",
      "--name",
      "box",
      "busybox",
      "sh",
      "-c",
      "rm -r /home; mkdir /home; touch /home/new",
    ]);
    const tar = join(box.dir, "export.tar");
    await box.must(["export", "-o", tar, "box"]);
    await box.must(["commit", "box", "made"]);
    await box.must(["create", "--name", "next", "made"]);
    await box.must(["cp", "-a", "next:/home", join(box.dir, "home")]);
    assert.equal(readFileSync(tar).includes("trusted.overlay"), false);
    const attributes = await must(["getfattr", "-d", "-m", "-", join(box.dir, "home")]);
    assert.equal(attributes.includes("overlay"), false);
    await box.must(["rm", "box", "next"]);
  }),
);

const base = 200_000;
/** A range that begins where others end: on the disk 1000 is not the host's 1000. */
const ids = [
  { containerID: 0, hostID: base, size: 1000 },
  { containerID: 1000, hostID: 1000, size: 1 },
];
const userNamespace = { uidMappings: ids, gidMappings: ids };

async function withMapped(body: (box: Sandbox, engine: Engine) => Promise<void>): Promise<void> {
  await withBusybox(async (box) => {
    await using engine = await Engine.open({ root: box.root, state: box.state, executor: findExecutor() });
    await body(box, engine);
  });
}

for (const running of [true, false])
  test(
    `with a user namespace cp, export and commit give the ids of a container that ${running ? "runs" : "is at rest"}`,
    { skip },
    () =>
      withMapped(async (box, engine) => {
        const source = join(box.dir, "source");
        await makeTree(source);
        const before = await describe(source);
        const bound = join(box.dir, "bound");
        mkdirSync(bound);
        writeFileSync(join(bound, "ours"), "");
        chownSync(join(bound, "ours"), base + 5, base + 6);
        writeFileSync(join(bound, "others"), "");
        const script =
          "touch /made; chown 1000:7 /made; stat -c '%n %u:%g' /bound/ours /bound/others /data/file; echo ready; sleep 1000";
        await using container = await engine.run({
          image: "busybox",
          name: "box",
          command: ["sh", "-c", script],
          userNamespace,
          mounts: [
            { kind: "bind", source: bound, target: "/bound" },
            { kind: "volume", source: "data", target: "/data" },
          ],
        });
        for await (const line of container.stdout.lines()) if (line === "ready") break;
        if (!running) {
          await container.kill();
          await container.wait();
        }
        await container.copyTo(`${source}/.`, "/copied");
        await container.copyTo(join(source, "file"), "/data/file");
        await container.copyTo(join(source, "file"), "/bound/file");
        const { uid, gid } = lstatSync(join(bound, "file"));
        assert.deepEqual([uid, gid], [base + 12, base + 34], "what lies on the host has the host's ids");
        await container.copyFrom("/copied/.", join(box.dir, "back"), { archive: true });
        assert.equal(await describe(join(box.dir, "back")), before);
        for (const [path, owner] of [
          ["/made", [1000, 7]],
          ["/bound/ours", [5, 6]],
          ["/bound/others", [65_534, 65_534]],
          ["/bound/file", [12, 34]],
          ["/data/file", [12, 34]],
        ] as const) {
          const stat = await container.statPath(path);
          assert.deepEqual([stat.uid, stat.gid], owner, path);
        }
        writeFileSync(join(box.dir, "stranger"), "");
        chownSync(join(box.dir, "stranger"), 4242, 0);
        await assert.rejects(container.copyTo(join(box.dir, "stranger"), "/stranger"), {
          code: "failed-precondition",
          message: /Container ID 4242 cannot be mapped to a host ID/,
        });

        const tar = join(box.dir, "export.tar");
        await box.must(["export", "-o", tar, "box"]);
        const exported = join(box.dir, "exported");
        mkdirSync(exported);
        await must(["tar", "-C", exported, "--xattrs", "--xattrs-include=*", "-xpf", tar]);
        assert.equal(await describe(join(exported, "copied")), before);
        assert.equal(lstatSync(join(exported, "made")).uid, 1000);
        assert.equal(lstatSync(join(exported, "bin")).uid, 0);

        await container.commit({ name: "made" });
        await box.must(["create", "--name", "next", "made"]);
        await box.must(["cp", "-a", "next:/copied/.", join(box.dir, "again")]);
        assert.equal(await describe(join(box.dir, "again")), before);
        const look = "stat -c %u:%g /made /copied/file /bin; getfattr 2>/dev/null; true";
        assert.equal(await box.must(["run", "--rm", "made", "sh", "-c", look]), "1000:7\n12:34\n0:0");
        if (!running) {
          await container.start();
          const inside = await container.exec([
            "stat",
            "-c",
            "%u:%g",
            "/copied/file",
            "/copied/sub",
            "/data/file",
          ]);
          assert.equal(await inside.stdout.text(), "12:34\n3:4\n12:34\n");
          await inside.wait();
        }
        await box.must(["rm", "next"]);
        await container.remove({ force: true, volumes: true });
        await engine.removeVolume("data");
      }),
  );
