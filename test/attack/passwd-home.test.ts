/** What an image or a volume puts in the place of /etc/passwd (CVE-2022-4318, CVE-2024-9676, CVE-2026-47262). */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readInRoot } from "../../src/snapshots/read-in-root.ts";
import { ended, must } from "../lib/command.ts";
import { withSandbox } from "../lib/sandbox.ts";
import { attack, type Cell, type Ending } from "./cell.ts";

const printHome = ["/bin/sh", "-c", 'printf "%s\\n" "$HOME"'];

/** The HOME that a program gets which has none in its environment. */
async function homeWith(cell: Cell, prepare: (path: string) => unknown): Promise<Ending> {
  const rootfs = cell.rootfs();
  const passwd = join(rootfs, "etc/passwd");
  rmSync(passwd);
  await prepare(passwd);
  return await cell.run(printHome, {
    rootfs,
    user: { uid: 1000, gid: 1000, additionalGids: [1000] },
    timeoutMs: 5000,
  });
}

attack(
  "CVE-2022-4318: a fifo, a link, a device or a directory in the place of /etc/passwd neither hangs nor is read",
  async (cell) => {
    const kinds: Record<string, (path: string) => unknown> = {
      fifo: (path) => must(["mkfifo", path]),
      "link to /dev/zero": (path) => symlinkSync("/dev/zero", path),
      "link to a file": (path) => {
        writeFileSync(`${path}-other`, "user:x:1000:1000::/leak:/bin/sh\n");
        symlinkSync("passwd-other", path);
      },
      "link to itself": (path) => symlinkSync("passwd", path),
      "device zero": (path) => must(["mknod", path, "c", "1", "5"]),
      directory: (path) => mkdirSync(path),
      nothing: () => {},
      "not text": (path) => writeFileSync(path, Buffer.alloc(5000, 0xff)),
      "NUL bytes": (path) =>
        writeFileSync(path, "user:x:1000:1000::/a\0b:/bin/sh\n".replace("user", "us\0er")),
      empty: (path) => writeFileSync(path, ""),
    };
    for (const [kind, prepare] of Object.entries(kinds)) {
      const { code, stdout, error } = await homeWith(cell, prepare);
      assert.equal(code, 0, `${kind}: ${error}`);
      assert.equal(stdout, "/\n", kind);
    }
  },
);

attack("CVE-2026-47262: a huge or ragged /etc/passwd costs neither time nor memory", async (cell) => {
  const kinds: Record<string, string> = {
    "64 MB of one line": "x".repeat(64e6),
    "a million colons": ":".repeat(1e6),
    "64 MB of lines": "nobody:x:9:9::/:/bin/sh\n".repeat(2_600_000),
    "a home longer than any path": `user:x:1000:1000::/${"h".repeat(5000)}:/bin/sh\n`,
    "relative home": "user:x:1000:1000::home:/bin/sh\n",
    "uid with a sign": "user:x:+1000:1000::/leak:/bin/sh\n",
    "uid with a blank": "user:x: 1000:1000::/leak:/bin/sh\n",
    "uid in hexadecimal": "user:x:0x3e8:1000::/leak:/bin/sh\n",
    "uid with a tail": "user:x:1000abc:1000::/leak:/bin/sh\n",
    "uid that wraps around to 1000": "user:x:4294968296:1000::/leak:/bin/sh\n",
    "uid that wraps around 64 bits": "user:x:18446744073709552616:1000::/leak:/bin/sh\n",
  };
  for (const [kind, text] of Object.entries(kinds)) {
    const { code, stdout, error } = await homeWith(cell, (path) => writeFileSync(path, text));
    assert.equal(code, 0, `${kind}: ${error}`);
    assert.equal(stdout, "/\n", kind);
  }
  const { stdout } = await homeWith(cell, (path) =>
    writeFileSync(path, "#\n\n:::\nuser:x:1000:1000::/home/user:/bin/sh"),
  );
  assert.equal(stdout, "/home/user\n", "a good line counts among bad ones");
});

attack(
  "CVE-2022-4318: a volume at /etc whose passwd becomes a fifo between two looks does not hang a start",
  async (cell) => {
    const etc = cell.folder();
    writeFileSync(join(etc, "passwd"), "user:x:1000:1000::/home/user:/bin/sh\n");
    await must(["mkfifo", join(etc, "fifo")]);
    const swapper: ChildProcess = spawn(join(cell.rootfs(), "probe"), ["swap", "passwd", "fifo"], {
      cwd: etc,
      env: { GANTRY_TEST_DIR: cell.dir },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const end = ended(swapper);
    try {
      await new Promise((resolve) => swapper.stdout?.once("data", resolve));
      const homes = new Set<string>();
      const deadline = performance.now() + 4000;
      const rootfs = cell.rootfs();
      for (let round = 0; round < 150 && performance.now() < deadline; round++) {
        const { code, stdout, error } = await cell.run(printHome, {
          rootfs,
          options: { mounts: [{ kind: "bind", source: etc, target: "/etc" }] },
          user: { uid: 1000, gid: 1000, additionalGids: [1000] },
          timeoutMs: 5000,
        });
        assert.equal(code, 0, error);
        homes.add(stdout.trim());
      }
      for (const home of homes) assert.match(home, /^\/$|^\/home\/user$/);
    } finally {
      swapper.kill("SIGKILL");
      await end;
    }
  },
);

attack("CVE-2022-4318: a HOME with a line end writes nothing into the container's files", async (cell) => {
  const rootfs = cell.rootfs();
  const before = readFileSync(join(rootfs, "etc/passwd"), "utf8");
  const home = "/root\nowned::0:0::/:/bin/sh";
  const { code, stdout } = await cell.run(printHome, {
    rootfs,
    options: { env: [`HOME=${home}`] },
  });
  assert.equal(code, 0);
  assert.equal(stdout, `${home}\n`);
  assert.equal(readFileSync(join(rootfs, "etc/passwd"), "utf8"), before);
});

attack(
  "CVE-2022-4318: the engine opens nothing but a regular file, also when a running container swaps it",
  async (cell) => {
    const root = cell.folder();
    writeFileSync(join(root, "passwd"), "user:x:1000:1000::/home/user:/bin/sh\n");
    // a device could do harm by being opened: a watchdog reboots the machine
    await must(["mkfifo", join(root, "fifo")]);
    const swapper: ChildProcess = spawn(join(cell.rootfs(), "probe"), ["swap", "passwd", "fifo"], {
      cwd: root,
      env: { GANTRY_TEST_DIR: cell.dir },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const end = ended(swapper);
    const seen = new Map<string, number>();
    try {
      await new Promise((resolve) => swapper.stdout?.once("data", resolve));
      const layers = [{ directory: root, opaque: new Set<string>() }];
      const deadline = performance.now() + 2000;
      while (performance.now() < deadline) {
        let answer: string;
        try {
          answer = Buffer.from(readInRoot(layers, "/passwd") ?? []).toString();
        } catch (error) {
          answer = (error as Error).message.replace(/^.*: /, "");
        }
        seen.set(answer, (seen.get(answer) ?? 0) + 1);
      }
    } finally {
      swapper.kill("SIGKILL");
      await end;
    }
    assert.deepEqual(
      [...seen.keys()].sort(),
      ["not a regular file", "user:x:1000:1000::/home/user:/bin/sh\n"],
      JSON.stringify([...seen]),
    );
  },
);

/** An image with its own idea of /etc/passwd and /etc/group, run as a user who must be looked up there. */
attack(
  "CVE-2024-9676: the engine reads no file of the host through an image's /etc/passwd or /etc/group",
  async (cell) => {
    const kinds: Record<string, (etc: string) => unknown> = {
      fifo: (etc) => must(["mkfifo", join(etc, "passwd")]),
      absolute: (etc) => symlinkSync("/etc/passwd", join(etc, "passwd")),
      climbing: (etc) => symlinkSync("../../../../../../../../../../../../etc/passwd", join(etc, "passwd")),
      device: (etc) => must(["mknod", join(etc, "passwd"), "c", "1", "5"]),
      huge: (etc) => writeFileSync(join(etc, "passwd"), Buffer.alloc(3e6, "a")),
    };
    await withSandbox(async (box) => {
      for (const [kind, prepare] of Object.entries(kinds)) {
        const rootfs = cell.rootfs();
        rmSync(join(rootfs, "etc/passwd"));
        await prepare(join(rootfs, "etc"));
        const tar = join(box.dir, `${kind}.tar`);
        await must(["tar", "-C", rootfs, "-cf", tar, "."]);
        await box.must(["import", tar, `evil-${kind}`]);
        // "daemon" is a user of the host, as of every Debian
        const { code, stdout, stderr } = await box.gantry(
          ["run", "--rm", "-u", "daemon", `evil-${kind}`, "id", "-u"],
          {
            timeoutMs: 20_000,
          },
        );
        assert.notEqual(code, 0, `${kind}: ${stdout}`);
        assert.equal(stdout, "", kind);
        assert.notEqual(stderr, "", kind);
      }
    });
  },
  join(import.meta.dirname, "../../dist/gantry"),
);
