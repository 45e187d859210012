/** Volumes: what docker's commands and options do with them, on the real kernel. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withVolumeImages } from "./volume-images.ts";

const limits = { skip: needs("root", "setfattr"), timeout: 120_000 };

const volumes = (box: Sandbox) => box.must(["volume", "ls", "-q"]);
const dataOf = (box: Sandbox, name: string) => box.must(["volume", "inspect", "-f", "{{.Mountpoint}}", name]);

test("volume create, ls, inspect, rm in docker's formats", limits, () =>
  withVolumeImages(async (box) => {
    assert.equal(await box.must(["volume", "ls"]), "DRIVER    VOLUME NAME");
    assert.equal(await box.must(["volume", "create", "--label", "team=a", "--label", "x", "data"]), "data");
    assert.equal(await box.must(["volume", "create", "data"]), "data", "one that is there is handed back");
    const random = await box.must(["volume", "create"]);
    assert.match(random, /^[0-9a-f]{64}$/);
    assert.equal(
      await box.must(["volume", "ls", "--filter", "name=dat"]),
      "DRIVER    VOLUME NAME\nlocal     data",
    );
    assert.equal(
      await box.must([
        "volume",
        "ls",
        "-f",
        "label=team=a",
        "--format",
        "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}}",
      ]),
      "data local local team=a,x=",
    );
    assert.equal(await box.must(["volume", "ls", "-q", "-f", "driver=other"]), "");
    const [shown] = JSON.parse(await box.must(["volume", "inspect", "data"]));
    assert.match(shown.CreatedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual(shown, {
      CreatedAt: shown.CreatedAt,
      Driver: "local",
      Labels: { team: "a", x: "" },
      Mountpoint: join(box.root, "volumes/data/_data"),
      Name: "data",
      Options: null,
      Scope: "local",
    });
    for (const command of [["inspect"], ["inspect", "--type", "volume"]])
      assert.deepEqual(JSON.parse(await box.must([...command, "data"])), [shown]);
    const missing = await box.gantry(["volume", "inspect", "nothing"]);
    assert.deepEqual(
      [missing.code, missing.stdout, missing.stderr],
      [1, "[]\n", "gantry: get nothing: no such volume\n"],
    );
    const wrong = await box.gantry(["volume", "create", "a/b"]);
    assert.equal(wrong.code, 1);
    assert.match(
      wrong.stderr,
      /^gantry: create a\/b: "a\/b" includes invalid characters for a local volume name, only /,
    );
    assert.equal((await box.gantry(["volume", "create", "-d", "nfs", "n1"])).code, 1);
    assert.equal(await box.must(["volume", "rm", "data", random]), `data\n${random}`);
    assert.equal((await box.gantry(["volume", "rm", "data"])).stderr, "gantry: get data: no such volume\n");
    assert.equal((await box.gantry(["volume", "rm", "-f", "data"])).code, 0);
    assert.equal(await volumes(box), "");
  }),
);

test("a named volume keeps what containers write, and is in use as long as one is there", limits, () =>
  withVolumeImages(async (box) => {
    await box.must(["run", "--rm", "-v", "data:/srv", "plain", "sh", "-c", "echo one > /srv/a"]);
    await box.must(["run", "--name", "user", "-v", "data:/srv:ro", "plain", "cat", "/srv/a"]);
    assert.equal(await box.must(["logs", "user"]), "one");
    const id = await box.must(["inspect", "-f", "{{.Id}}", "user"]);
    const busy = await box.gantry(["volume", "rm", "data"]);
    assert.deepEqual([busy.code, busy.stderr], [1, `gantry: remove data: volume is in use - [${id}]\n`]);
    assert.deepEqual(JSON.parse(await box.must(["inspect", "-f", "{{json .Mounts}}", "user"])), [
      {
        Type: "volume",
        Name: "data",
        Source: join(box.root, "volumes/data/_data"),
        Destination: "/srv",
        Driver: "local",
        Mode: "ro",
        RW: false,
        Propagation: "",
      },
    ]);
    assert.equal(await box.must(["volume", "ls", "-q", "-f", "dangling=false"]), "data");
    assert.equal(await box.must(["volume", "ls", "-q", "-f", "dangling=true"]), "");
    assert.equal(await box.must(["ps", "-aq", "--filter", "volume=data"]), id.slice(0, 12));
    const readOnly = await box.gantry(["run", "--rm", "-v", "data:/srv:ro", "plain", "touch", "/srv/b"]);
    assert.match(readOnly.stderr, /Read-only file system/);
    await box.must(["rm", "user"]);
    assert.equal(await volumes(box), "data", "a named volume outlives its containers");
    await box.must(["volume", "rm", "data"]);
  }),
);

/** What a tree looks like: type, mode, owner, size, time and xattrs of everything in it. */
const describe = (path: string) => `cd ${path} && find . | sort | while read -r name; do
  stat -c '%n %f %u %g %Y %h' "$name" | sed 's/^\\(\\. .*\\) [0-9]*$/\\1/'; done`;

test(
  "an empty volume gets what the image has, with owners, modes, times, xattrs, links and holes",
  limits,
  () =>
    withVolumeImages(async (box) => {
      await box.must(["create", "--name", "first", "-v", "data:/data", "-v", "none:/data2", "plain", "true"]);
      const path = await dataOf(box, "data");
      const inImage = await box.must(["run", "--rm", "plain", "sh", "-c", describe("/data")]);
      const inVolume = await must(["sh", "-c", describe(path)]);
      const lines = (text: string) =>
        text
          .trim()
          .split("\n")
          .filter((line) => !/ 41[0-9a-f]{2} .* \d+$/.test(line) || line.startsWith(". "));
      assert.deepEqual(lines(inVolume), lines(inImage));
      assert.ok(lines(inVolume).length >= 6, inVolume);
      const xattr = (name: string, file: string) =>
        must(["getfattr", "--absolute-names", "--only-values", "-n", name, file]);
      assert.equal(await xattr("user.note", join(path, "file")), "kept");
      assert.equal(await xattr("user.top", path), "too");
      const top = statSync(path);
      assert.deepEqual([top.uid, top.gid, top.mode & 0o7777, top.mtimeMs], [12, 34, 0o1770, 1000000001000]);
      const file = statSync(join(path, "file"));
      assert.deepEqual([file.nlink, file.ino], [2, statSync(join(path, "deep/second")).ino]);
      const holes = statSync(join(path, "holes"));
      assert.equal(holes.size, 10 * 1024 * 1024 + 3);
      assert.ok(holes.blocks * 512 < 1024 * 1024, `${holes.blocks} blocks`);
      assert.equal(readFileSync(join(path, "holes")).subarray(-3).toString(), "end");
      assert.deepEqual(
        readdirSync(join(path, "..")).sort(),
        ["_data", "volume.json"],
        "nothing of the copying is left",
      );
      assert.deepEqual(readdirSync(await dataOf(box, "none")), []);
      // what is there stays
      await box.must(["run", "--rm", "-v", "data:/data", "plain", "rm", "/data/file"]);
      await box.must(["run", "--rm", "-v", "data:/data", "plain", "test", "!", "-e", "/data/file"]);
      await box.must([
        "run",
        "--rm",
        "-v",
        "bare:/data:nocopy",
        "plain",
        "sh",
        "-c",
        'test -z "$(ls -A /data)"',
      ]);
      await box.must([
        "run",
        "--rm",
        "--mount",
        "src=bare,dst=/data,volume-nocopy",
        "plain",
        "sh",
        "-c",
        'test -z "$(ls -A /data)"',
      ]);
      await box.must(["run", "--rm", "-v", "bare:/data", "plain", "cat", "/data/file"]);
      await box.must(["rm", "first"]);
      await box.must(["volume", "prune", "-af"]);
    }),
);

test(
  "places that the image declares get volumes of their own, which go with --rm and rm -v only",
  limits,
  () =>
    withVolumeImages(async (box) => {
      assert.equal(await box.must(["run", "--rm", "declared", "cat", "/data/file"]), "hello");
      assert.equal(await volumes(box), "", "--rm takes them along");
      await box.must([
        "run",
        "--name",
        "kept",
        "declared",
        "sh",
        "-c",
        "echo x > /fresh/x; echo y > /data/y",
      ]);
      const names = (await volumes(box)).split("\n");
      assert.equal(names.length, 2);
      for (const name of names) assert.match(name, /^[0-9a-f]{64}$/);
      assert.equal(
        await box.must(["volume", "ls", "-q", "-f", "label=com.docker.volume.anonymous"]),
        names.join("\n"),
      );
      await box.must(["start", "kept"]);
      await box.must(["wait", "kept"]);
      assert.equal((await volumes(box)).split("\n").length, 2, "a start makes no new ones");
      // somebody else has one of them, too
      await box.must([
        "create",
        "--name",
        "heir",
        "--volumes-from",
        "kept",
        "plain",
        "cat",
        "/fresh/x",
        "/data/y",
      ]);
      await box.must(["rm", "-v", "kept"]);
      assert.equal((await volumes(box)).split("\n").length, 2);
      assert.equal((await box.gantry(["start", "-a", "heir"])).stdout, "x\ny\n");
      await box.must(["rm", "heir"]);
      assert.equal((await volumes(box)).split("\n").length, 2, "without -v they stay");
      await box.must(["create", "--name", "own", "declared"]);
      assert.equal((await volumes(box)).split("\n").length, 4);
      await box.must(["rm", "-v", "own"]);
      assert.equal((await volumes(box)).split("\n").length, 2);
      await box.must(["run", "-d", "--rm", "--name", "quick", "declared", "sleep", "0.1"]);
      await until("its volumes are gone", async () => (await volumes(box)).split("\n").length === 2);
      // what stands in their place is no volume
      await box.must(["create", "--name", "over", "--tmpfs", "/fresh", "-v", `${box.dir}:/data`, "declared"]);
      assert.equal((await volumes(box)).split("\n").length, 2);
      await box.must(["rm", "over"]);
      const prune = await box.must(["volume", "prune", "-f"]);
      assert.match(prune, /^Deleted Volumes:\n[0-9a-f]{64}\n[0-9a-f]{64}\n\nTotal reclaimed space: /);
      assert.equal(await volumes(box), "");
    }),
);

test("volume prune asks, and takes named volumes only when told", limits, () =>
  withVolumeImages(async (box) => {
    await box.must(["volume", "create", "--label", "keep", "named"]);
    const anonymous = await box.must(["volume", "create"]);
    const refused = await box.gantry(["volume", "prune"], { stdin: "n\n" });
    assert.equal(refused.code, 1);
    assert.equal(
      refused.stdout,
      "WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] ",
    );
    assert.equal((await box.gantry(["volume", "prune"], { stdin: "y\n" })).stdout.includes(anonymous), true);
    assert.equal(await volumes(box), "named");
    assert.equal(
      await box.must(["volume", "prune", "-af", "--filter", "label!=keep"]),
      "Total reclaimed space: 0B",
    );
    assert.match(await box.must(["volume", "prune", "-af"]), /^Deleted Volumes:\nnamed\n\n/);
    assert.equal(await volumes(box), "");
  }),
);

test("--volumes-from takes over volumes and bind mounts, read-only where told", limits, () =>
  withVolumeImages(async (box) => {
    const host = join(box.dir, "host");
    mkdirSync(host);
    await box.must(["create", "--name", "source", "-v", "data:/srv", "-v", `${host}:/host`, "plain"]);
    await box.must([
      "run",
      "--rm",
      "--volumes-from",
      "source",
      "plain",
      "sh",
      "-c",
      "echo a > /srv/a; echo b > /host/b",
    ]);
    assert.equal(readFileSync(join(host, "b"), "utf8"), "b\n");
    const readOnly = ["run", "--rm", "--volumes-from", "source:ro", "plain"];
    assert.equal(await box.must([...readOnly, "cat", "/srv/a", "/host/b"]), "a\nb");
    assert.match((await box.gantry([...readOnly, "touch", "/srv/c"])).stderr, /Read-only/);
    assert.match((await box.gantry([...readOnly, "touch", "/host/c"])).stderr, /Read-only/);
    const own = ["run", "--rm", "--volumes-from", "source", "--tmpfs", "/srv", "plain"];
    assert.equal(await box.must([...own, "ls", "/srv"]), "");
    for (const [spec, message] of [
      ["nobody", /^gantry: No such container: nobody/],
      ["source:rshared", /^gantry: invalid mode: rshared/],
      ["source:nocopy", /^gantry: invalid mode: nocopy/],
    ] as const)
      assert.match((await box.gantry(["run", "--volumes-from", spec, "plain"])).stderr, message);
    await box.must(["rm", "source"]);
    await box.must(["volume", "rm", "data"]);
  }),
);

test("a part of a volume or of an image is mounted, and nothing leads out of it", limits, () =>
  withVolumeImages(async (box) => {
    await box.must([
      "run",
      "--rm",
      "-v",
      "data:/srv",
      "plain",
      "sh",
      "-c",
      "mkdir -p /srv/a/b; echo in > /srv/a/b/f; ln -s /etc /srv/out; ln -s ../.. /srv/a/up; ln -s b /srv/a/same",
    ]);
    const part = (path: string) => [
      "run",
      "--rm",
      "--mount",
      `type=volume,src=data,dst=/part,volume-subpath=${path}`,
      "plain",
    ];
    assert.equal(await box.must([...part("a/b"), "cat", "/part/f"]), "in");
    assert.equal(await box.must([...part("a/same"), "cat", "/part/f"]), "in");
    for (const path of ["out", "a/up"]) {
      const outcome = await box.gantry([...part(path), "ls", "/part"]);
      assert.notEqual(outcome.code, 0, path);
      assert.match(outcome.stderr, /invalid cross-device link/, path);
    }
    assert.match(
      (await box.gantry([...part("nothing"), "true"])).stderr,
      /nothing: no such file or directory/,
    );
    assert.match(
      (await box.gantry([...part("../x"), "true"])).stderr,
      /subpath must be a relative path within the volume/,
    );
    const image = (rest: string) => [
      "run",
      "--rm",
      "--mount",
      `type=image,src=declared,dst=/image${rest}`,
      "plain",
    ];
    assert.equal(await box.must([...image(""), "cat", "/image/data/file"]), "hello");
    assert.match((await box.gantry([...image(""), "touch", "/image/x"])).stderr, /Read-only/);
    assert.equal(await box.must([...image(",image-subpath=data"), "cat", "/image/file"]), "hello");
    await box.must([
      "create",
      "--name",
      "viewer",
      "--mount",
      "type=image,src=declared,dst=/image",
      "plain",
      "cat",
      "/image/data/file",
    ]);
    assert.equal((await box.gantry(["start", "-a", "viewer"])).stdout, "hello");
    await box.must(["rm", "viewer"]);
    assert.deepEqual(readdirSync(join(box.root, "snapshots/active")), []);
    await box.must(["volume", "rm", "data"]);
  }),
);

test("tmpfs by --mount has its size and mode", limits, () =>
  withVolumeImages(async (box) => {
    const mount = "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1700";
    const script = "stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'";
    assert.equal(
      await box.must(["run", "--rm", "--mount", mount, "plain", "sh", "-c", script]),
      "1700\n1024",
    );
    const readOnly = await box.gantry([
      "run",
      "--rm",
      "--mount",
      "type=tmpfs,dst=/t,ro",
      "plain",
      "touch",
      "/t/x",
    ]);
    assert.match(readOnly.stderr, /Read-only/);
  }),
);

test("read-only binds reach the mounts below them, unless told; propagation is checked", limits, () =>
  withVolumeImages(async (box) => {
    const host = join(box.dir, "host");
    const sub = join(host, "sub");
    mkdirSync(sub, { recursive: true });
    await must(["mount", "-t", "tmpfs", "tmpfs", host]);
    try {
      mkdirSync(sub);
      await must(["mount", "-t", "tmpfs", "tmpfs", sub]);
      const touch = async (mount: string) =>
        (await box.gantry(["run", "--rm", ...mount.split(" "), "plain", "touch", "/host/sub/x"])).code;
      const bind = `--mount type=bind,src=${host},dst=/host`;
      assert.equal(await touch(bind), 0);
      assert.equal(await touch(`${bind},readonly`), 1);
      assert.equal(await touch(`${bind},readonly,bind-recursive=writable`), 0);
      assert.equal(await touch(`${bind},readonly,bind-propagation=rprivate,bind-recursive=readonly`), 1);
      assert.equal(await touch(`-v ${host}:/host:ro`), 1);
      assert.equal(await touch(`-v ${host}:/host:ro-non-recursive`), 0);
      const hidden = await box.gantry([
        "run",
        "--rm",
        ...`${bind},bind-recursive=disabled`.split(" "),
        "plain",
        "ls",
        "/host/sub",
      ]);
      assert.equal(hidden.stdout, "");
      await must(["mount", "--make-rprivate", host]);
      for (const [mode, kind] of [
        ["rshared", "shared"],
        ["rslave", "shared or slave"],
      ]) {
        const refused = await box.gantry(["run", "--rm", "-v", `${host}:/host:${mode}`, "plain", "true"]);
        assert.equal(refused.code, 125);
        assert.match(
          refused.stderr,
          new RegExp(`^gantry: path ${host} is mounted on ${host} but it is not a ${kind} mount`),
        );
      }
      await must(["mount", "--make-rshared", host]);
      const later = join(host, "later");
      mkdirSync(later);
      for (const [mode, seen] of [
        ["rprivate", "no"],
        ["rslave", "yes"],
        ["rshared", "yes"],
      ] as const) {
        const script =
          "touch /host/up; until [ -e /host/go ]; do sleep 0.02; done; test -e /host/later/x && echo yes || echo no";
        const name = `peer-${mode}`;
        await box.must([
          "run",
          "-d",
          "--name",
          name,
          "-v",
          `${host}:/host:${mode}`,
          "plain",
          "sh",
          "-c",
          script,
        ]);
        await until("it is up", () => existsSync(join(host, "up")));
        await must(["mount", "-t", "tmpfs", "tmpfs", later]);
        writeFileSync(join(later, "x"), "");
        writeFileSync(join(host, "go"), "");
        await box.must(["wait", name]);
        assert.equal(await box.must(["logs", name]), seen, mode);
        await must(["umount", later]);
        for (const file of ["up", "go"]) rmSync(join(host, file));
        await box.must(["rm", name]);
      }
    } finally {
      await must(["umount", "-R", host]);
    }
  }),
);

test("options of the local driver: a directory of the host, a tmpfs; wrong ones are refused", limits, () =>
  withVolumeImages(async (box) => {
    const device = join(box.dir, "device");
    mkdirSync(device);
    const opts = (...given: string[]) => given.flatMap((one) => ["-o", one]);
    await box.must(["volume", "create", ...opts("type=none", "o=bind", `device=${device}`), "bound"]);
    await box.must(["run", "--rm", "-v", "bound:/b", "plain", "touch", "/b/x"]);
    assert.deepEqual(readdirSync(device), ["x"]);
    await box.must(["volume", "create", ...opts("type=tmpfs", "device=tmpfs", "o=size=2m,uid=1000"), "mem"]);
    const script = "stat -c %u /m; df -k /m | tail -1 | awk '{print $2}'";
    assert.equal(await box.must(["run", "--rm", "-v", "mem:/m", "plain", "sh", "-c", script]), "1000\n2048");
    const [shown] = JSON.parse(await box.must(["volume", "inspect", "mem"]));
    assert.deepEqual(shown.Options, { type: "tmpfs", device: "tmpfs", o: "size=2m,uid=1000" });
    const inline =
      "type=volume,src=made,dst=/m,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=a=b";
    await box.must(["run", "--rm", "--mount", inline, "plain", "grep", " /m tmpfs", "/proc/mounts"]);
    assert.equal(await box.must(["volume", "ls", "-q", "-f", "label=a=b"]), "made");
    for (const [given, message] of [
      [["colour=red"], 'invalid option: "colour"'],
      [["type=nfs"], 'missing required option: "device"'],
      [["o=ro"], 'missing required option: "type"'],
      [["size=1g"], "quota size requested but no quota support"],
    ] as const)
      assert.equal(
        (await box.gantry(["volume", "create", ...opts(...given), "bad"])).stderr,
        `gantry: ${message}\n`,
      );
    assert.equal(await volumes(box), "bound\nmade\nmem");
    await box.must(["volume", "prune", "-af"]);
    assert.deepEqual(readdirSync(device), ["x"]);
  }),
);

test("explain makes no volume", limits, () =>
  withVolumeImages(async (box) => {
    const plan = await box.must(["explain", "run", "-v", "data:/srv", "declared"]);
    assert.match(plan, /volumes\/data\/_data/);
    assert.equal(await volumes(box), "");
  }),
);

test("a container that cannot be made leaves no volume of its own", limits, () =>
  withVolumeImages(async (box) => {
    assert.equal((await box.gantry(["run", "declared", "nothing-there"])).code, 127);
    assert.equal(await volumes(box), "");
  }),
);
