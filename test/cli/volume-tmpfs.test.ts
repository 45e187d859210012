/** A volume of type tmpfs is one for all who use it at a time, and gone with the last of them. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { Engine } from "../../src/index.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

async function makeVolume(box: Sandbox): Promise<void> {
  await box.must([
    "volume",
    "create",
    "-o",
    "type=tmpfs",
    "-o",
    "device=tmpfs",
    "-o",
    "o=size=2m,mode=700",
    "mem",
  ]);
}

const start = (box: Sandbox, name: string, mount = "mem:/m", ...more: readonly string[]) =>
  box.must(["run", "-d", "--name", name, "-v", mount, ...more, "busybox", "sleep", "1000"]);
const shell = (box: Sandbox, name: string, script: string) => box.must(["exec", name, "sh", "-c", script]);

/** All mounts of the host but those below the sandboxes of other tests. */
function mounts(box: Sandbox): readonly string[] {
  const lines = readFileSync("/proc/self/mounts", "utf8").trimEnd().split("\n");
  return lines.filter((line) => line.includes(box.dir) || !line.includes(` ${tmpdir()}/gantry-`));
}

test(
  "containers that run share a tmpfs volume, each at its own place and with its own rights",
  { skip },
  () =>
    withBusybox(async (box) => {
      await makeVolume(box);
      const before = mounts(box);
      await start(box, "one");
      await shell(box, "one", "echo first > /m/note");
      await start(box, "two", "mem:/other/place:ro");
      assert.equal(
        await shell(box, "two", "cat /other/place/note; df -k /other/place | tail -1 | awk '{print $2}'"),
        "first\n2048",
      );
      const refused = await box.gantry(["exec", "two", "touch", "/other/place/x"]);
      assert.match(refused.stderr, /Read-only file system/);
      // of one that may only read another may have it to write
      await box.must(["rm", "-f", "one"]);
      await start(box, "three");
      await shell(box, "three", "echo second >> /m/note");
      assert.equal(await shell(box, "two", "cat /other/place/note"), "first\nsecond");
      assert.equal(
        await box.must(["run", "--rm", "-v", "mem:/m", "busybox", "cat", "/m/note"]),
        "first\nsecond",
      );
      // one that starts again has it from the others
      await box.must(["restart", "-t", "0", "three"]);
      assert.equal(await shell(box, "three", "cat /m/note"), "first\nsecond");
      assert.deepEqual(mounts(box), before, "nothing is mounted on the host");
      await box.must(["rm", "-f", "two", "three"]);
      assert.equal(await box.must(["run", "--rm", "-v", "mem:/m", "busybox", "ls", "/m"]), "");
      await box.must(["volume", "rm", "mem"]);
    }),
);

test("of containers that start at once all have the same tmpfs", { skip }, () =>
  withBusybox(async (box) => {
    await makeVolume(box);
    const names = ["a1", "b2", "c3", "d4"];
    await Promise.all(names.map((name) => start(box, name)));
    await Promise.all(names.map((name) => shell(box, name, `echo ${name} > /m/${name}`)));
    for (const name of names) assert.equal(await shell(box, name, "ls /m"), names.join("\n"), name);
    await box.must(["rm", "-f", ...names]);
    await box.must(["volume", "rm", "mem"]);
  }),
);

test("a shim or a client that is killed takes nothing from the others, and leaves nothing", { skip }, () =>
  withBusybox(async (box) => {
    await makeVolume(box);
    const one = await start(box, "one");
    await shell(box, "one", "echo kept > /m/note");
    await start(box, "two");
    const record = join(box.state, "containers", one, "start.json");
    process.kill(JSON.parse(readFileSync(record, "utf8")).shim, "SIGKILL");
    assert.equal(await box.must(["wait", "one"]), "137");
    for (const point of ["start-recorded", "started"]) {
      const { code } = await box.gantry(["start", "one"], { env: { GANTRY_FAULT: point } });
      assert.equal(code, 137, point);
      if (point !== "started") continue;
      await box.must(["kill", "one"]);
      await box.must(["wait", "one"]);
    }
    await box.must(["start", "one"]);
    assert.equal(await shell(box, "one", "cat /m/note"), "kept");
    await box.must(["rm", "-f", "one", "two"]);
    await box.must(["volume", "rm", "mem"]);
    assert.deepEqual(readdirSync(join(box.root, "volumes")), []);
  }),
);

test("those that come and go while others start are no reason to fail", { skip }, () =>
  withBusybox(async (box) => {
    await makeVolume(box);
    const short = [
      "run",
      "--rm",
      "-v",
      "mem:/m",
      "busybox",
      "sh",
      "-c",
      "df -k /m | tail -1 | awk '{print $2}'",
    ];
    const rounds = Array.from({ length: 3 }, async () => {
      for (let round = 0; round < 8; round++) assert.equal(await box.must(short), "2048");
    });
    await Promise.all(rounds);
    await box.must(["volume", "rm", "mem"]);
  }),
);

const users = (first: number) => {
  const ids = [{ containerID: 0, hostID: first, size: 65_536 }];
  return { uidMappings: ids, gidMappings: ids };
};

for (const order of [
  ["plain", "mapped", "other"],
  ["mapped", "plain", "other"],
])
  test(
    `a tmpfs volume has the same owners in each container, whatever user namespaces they have (${order.join(", ")})`,
    { skip: skip || needs("linux 6.15") },
    () =>
      withBusybox(async (box) => {
        await makeVolume(box);
        const engineOptions = { root: box.root, state: box.state, executor: findExecutor() };
        await using engine = await Engine.open(engineOptions);
        const namespaces: Readonly<Record<string, object>> = {
          mapped: { userNamespace: users(200_000) },
          other: { userNamespace: users(400_000) },
        };
        for (const [index, name] of order.entries()) {
          await engine.run({
            ...{ image: "busybox", name, command: ["sleep", "1000"] },
            mounts: [{ kind: "volume", source: "mem", target: "/m" }],
            ...namespaces[name],
          });
          await shell(box, name, `touch /m/${name}; chown ${index}:7 /m/${name}`);
        }
        for (const name of order)
          assert.equal(
            await shell(box, name, `stat -c '%n %u:%g' /m ${order.map((one) => `/m/${one}`).join(" ")}`),
            ["/m 0:0", ...order.map((one, index) => `/m/${one} ${index}:7`)].join("\n"),
            name,
          );
        // whoever has made it may go
        await box.must(["rm", "-f", order[0]!]);
        await shell(box, order[1]!, "echo more > /m/note");
        assert.equal(await shell(box, order[2]!, "stat -c %u /m/note; cat /m/note"), "0\nmore");
        const joined = ["run", "--rm", "--userns", `container:${order[2]}`, "-v", "mem:/m", "busybox"];
        assert.equal(await box.must([...joined, "stat", "-c", "%u", `/m/${order[1]}`]), "1");
        await box.must(["rm", "-f", order[1]!, order[2]!]);
        await box.must(["volume", "rm", "mem"]);
      }),
  );

test("a part of a tmpfs volume is one of that which others have, and keeps all of it", { skip }, () =>
  withBusybox(async (box) => {
    await makeVolume(box);
    const part = (path: string, ...more: readonly string[]) => [
      ...["run", ...more, "--mount", `type=volume,src=mem,dst=/part,volume-subpath=${path}`, "busybox"],
    ];
    assert.match(
      (await box.gantry([...part("a/b", "--rm"), "true"])).stderr,
      /a\/b: no such file or directory/,
      "there is nothing yet",
    );
    await start(box, "whole");
    await shell(
      box,
      "whole",
      "mkdir -p /m/a/b; echo in > /m/a/b/f; ln -s / /m/out; ln -s a /m/in; touch /m/x",
    );
    await box.must([...part("in/b", "-d", "--name", "part"), "sleep", "1000"]);
    assert.equal(
      await shell(box, "part", "cat /part/f; echo more > /part/g; ls -a /part/.."),
      await shell(box, "part", "cat /part/f; ls -a /"),
    );
    assert.equal(await shell(box, "whole", "cat /m/a/b/g"), "more");
    for (const path of ["out/etc", "out"])
      assert.match(
        (await box.gantry([...part(path, "--rm"), "true"])).stderr,
        /invalid cross-device link/,
        path,
      );
    assert.equal(await box.must([...part("x", "--rm"), "stat", "-c", "%F", "/part"]), "regular empty file");
    // who sees but a part of it hands all of it on
    await box.must(["rm", "-f", "whole"]);
    assert.equal(await box.must(["run", "--rm", "-v", "mem:/m", "busybox", "cat", "/m/a/b/g"]), "more");
    await box.must(["rm", "-f", "part"]);
    assert.equal(await box.must(["run", "--rm", "-v", "mem:/m", "busybox", "ls", "/m"]), "");
    await box.must(["volume", "rm", "mem"]);
  }),
);

test(
  "one container may show a tmpfs volume at several places, and may not put another one there",
  { skip },
  () =>
    withBusybox(async (box) => {
      await makeVolume(box);
      const explained = async () => await box.must(["explain", "run", "-v", "mem:/m", "busybox"]);
      assert.match(await explained(), / hold-mount /);
      await start(box, "one", "mem:/m", "-v", "mem:/n:ro", "--privileged");
      assert.match(await explained(), / take-held /);
      assert.equal(
        await shell(box, "one", "echo x > /m/note; cat /n/note; touch /n/y 2>&1 | tail -1"),
        "x\ntouch: /n/y: Read-only file system",
      );
      await shell(box, "one", "mount -t tmpfs none /m; echo false > /m/note; umount -l /n");
      assert.equal(await box.must(["run", "--rm", "-v", "mem:/m", "busybox", "cat", "/m/note"]), "x");
      await box.must(["rm", "-f", "one"]);
      await box.must(["volume", "rm", "mem"]);
    }),
);
