/**
 * The command lines, with names and files that were chosen to hurt (CVE-2021-41103, CVE-2019-13139,
 * CVE-2025-9566): ids are no paths, the caller's descriptors and files are left alone, output stays plain.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { command, ended, must, type Outcome } from "../lib/command.ts";
import { gantryOciProgram, gantryProgram, withSandbox } from "../lib/sandbox.ts";
import { attack, type Cell } from "./cell.ts";

function oci(cell: Cell, root: string, args: readonly string[]): Promise<Outcome> {
  return command([gantryOciProgram, "--root", root, ...args], {
    env: { GANTRY_TEST_DIR: cell.dir },
    timeoutMs: 20_000,
  });
}

attack(
  "an id is a name and no path, for every command of gantry-oci",
  async (cell) => {
    const root = join(cell.folder(), "root");
    const bundle = cell.bundle(cell.next(), ["/bin/true"]);
    const around = () => readdirSync(cell.dir).sort().join();
    const before = around();
    const ids = [
      "",
      ".",
      "..",
      "../x",
      "/x",
      "a/b",
      "a/../b",

      "a b",
      "a\nb",
      "a;b",
      "x".repeat(2000),
      "ü",
      "a\u001b[0m",
      "~",
      "*",
    ];
    for (const id of ids) {
      for (const args of [
        ["run", "--bundle", bundle],
        ["create", "--bundle", bundle],
        ["state"],
        ["kill"],
        ["delete", "--force"],
        ["start"],
      ]) {
        const { code, stdout, stderr } = await oci(cell, root, [...args, "--", id]);
        // deleting with force what cannot be there may be called done
        if (args[0] !== "delete") assert.notEqual(code, 0, `${args[0]} ${JSON.stringify(id)}: ${stdout}`);
        assert.ok(stderr.length < 5000);
      }
      if (existsSync(root)) assert.deepEqual(readdirSync(root), [], JSON.stringify(id));
      assert.equal(around(), before);
    }
  },
  gantryOciProgram,
);

attack(
  "CVE-2021-41103: the state of gantry-oci is root's alone",
  async (cell) => {
    const root = join(cell.folder(), "state");
    const id = cell.next();
    const { code, stderr } = await oci(cell, root, [
      "create",
      "--bundle",
      cell.bundle(id, ["/bin/true"]),
      id,
    ]);
    assert.equal(code, 0, stderr);
    try {
      assert.equal(statSync(root).mode & 0o077, 0);
      const own = join(root, id);
      // passable as runc has it; what is in it is not
      assert.equal(statSync(own).mode & 0o066, 0);
      // the program waits at the fifo as whatever user it is by then: it may write there, nobody may read
      for (const name of readdirSync(own)) {
        const forbidden = name === "exec.fifo" ? 0o055 : 0o077;
        assert.equal(lstatSync(join(own, name)).mode & forbidden, 0, name);
      }
    } finally {
      assert.equal((await oci(cell, root, ["delete", "--force", id])).code, 0);
    }
    // compiled filters stay for the next container, and are nobody else's either
    assert.deepEqual(readdirSync(root), [".filters"]);
    for (const name of [".", ...readdirSync(join(root, ".filters"))])
      assert.equal(statSync(join(root, ".filters", name)).mode & 0o077, 0, name);
  },
  gantryOciProgram,
);

attack(
  "CVE-2024-21626, CVE-2016-9962: what the caller of gantry-oci has open does not go in, and is no way out",
  async (cell) => {
    const secret = openSync("/etc", "r");
    const run = async (args: readonly string[], cwd?: string) => {
      const id = cell.next();
      const bundle = cell.bundle(id, args, {
        change: (config) => {
          if (cwd !== undefined) config.process.cwd = cwd;
        },
      });
      const child = spawn(gantryOciProgram, ["--root", cell.folder(), "run", "--bundle", bundle, id], {
        stdio: ["ignore", "pipe", "pipe", secret, secret, secret, secret],
        env: { ...process.env, GANTRY_TEST_DIR: cell.dir },
      });
      let stdout = "";
      child.stdout!.on("data", (chunk) => {
        stdout += chunk;
      });
      return { code: await ended(child), stdout };
    };
    try {
      const { stdout } = await run(["/probe", "descriptors"]);
      assert.deepEqual(
        stdout
          .trim()
          .split("\n")
          .map((line) => line.split(" ")[0]),
        ["0", "1", "2"],
      );
      for (let fd = 3; fd < 24; fd++) {
        const inside = await run(["/bin/sh", "-c", "pwd; cat ./shadow ../etc/shadow"], `/proc/self/fd/${fd}`);
        assert.doesNotMatch(inside.stdout, /root:/, `descriptor ${fd}`);
        if (inside.code === 0 || inside.stdout !== "")
          assert.match(inside.stdout, /^\/$/m, `descriptor ${fd}`);
      }
    } finally {
      closeSync(secret);
    }
  },
  gantryOciProgram,
);

attack(
  "CVE-2024-21626: a created container, which may wait for long, holds nothing open that leads to the host",
  async (cell) => {
    const root = cell.folder();
    const id = cell.next();
    const rootfs = cell.rootfs();
    const bundle = cell.bundle(id, ["/bin/true"], {
      rootfs,
      options: { sysctls: { "net.ipv4.ip_forward": "1" } },
    });
    assert.equal((await oci(cell, root, ["create", "--bundle", bundle, id])).code, 0);
    try {
      const { pid } = JSON.parse((await oci(cell, root, ["state", id])).stdout);
      const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => join("/proc", String(pid), "fd", fd));
      for (const fd of fds.filter((path) => Number(path.split("/").at(-1)) > 2)) {
        const target = readlinkSync(fd);
        assert.match(target, /^(\/|(socket|anon_inode|pipe):.*|.*\/exec\.fifo)$/, target);
        assert.equal(
          existsSync(join(fd, "sys/kernel/core_pattern")),
          false,
          "a proc with all of /proc/sys in it",
        );
      }
      for (const link of ["root", "cwd"])
        assert.equal(statSync(`/proc/${pid}/${link}`).ino, statSync(rootfs).ino);
      assert.match(readlinkSync(`/proc/${pid}/exe`), /^\/memfd:gantry-executor/);
    } finally {
      await oci(cell, root, ["delete", "--force", id]);
    }
  },
  gantryOciProgram,
);

attack(
  "a pid file replaces a link or a fifo that somebody put there, and writes through neither",
  async (cell) => {
    const dir = cell.folder();
    const canary = join(cell.folder(), "canary");
    writeFileSync(canary, "untouched");
    for (const kind of ["link", "fifo", "dangling"]) {
      const file = join(dir, "pid");
      rmSync(file, { force: true });
      if (kind === "fifo") await must(["mkfifo", file]);
      else symlinkSync(kind === "link" ? canary : join(dir, "nowhere"), file);
      const id = cell.next();
      const root = cell.folder();
      const { code, stderr } = await oci(cell, root, [
        "run",
        "--pid-file",
        file,
        "--bundle",
        cell.bundle(id, ["/bin/true"]),
        id,
      ]);
      assert.equal(code, 0, `${kind}: ${stderr}`);
      assert.equal(lstatSync(file).isFile(), true, kind);
      assert.match(readFileSync(file, "utf8"), /^\d+$/);
      assert.equal(existsSync(join(dir, "nowhere")), false);
      assert.equal(readFileSync(canary, "utf8"), "untouched");
    }
  },
  gantryOciProgram,
);

attack(
  "names, labels and commands with control characters do not reach the terminal",
  async (cell) => {
    await withSandbox(async (box) => {
      const tar = join(box.dir, "root.tar");
      await must(["tar", "-C", cell.rootfs(), "-cf", tar, "."]);
      await box.must(["import", tar, "cell"]);
      const evil = "\u001b]0;owned\u0007\u001b[2J";
      for (const name of ["../x", "/x", "a/b", `a${evil}`, "", "-x", ".x", "a b", "a\nb"]) {
        const { code } = await box.gantry(["create", `--name=${name}`, "cell", "true"]);
        if (name !== "" && name !== "/x") assert.notEqual(code, 0, JSON.stringify(name));
      }
      await box.must(["create", "--name", "plain", "--label", `l=${evil}`, "cell", "sh", "-c", evil]);
      for (const args of [
        ["ps", "-a"],
        ["ps", "-a", "--no-trunc"],
        ["ps", "-a", "--format", "json"],
        ["inspect", "plain"],
        ["images"],
      ]) {
        const { stdout, stderr } = await box.gantry(args);
        assert.equal((stdout + stderr).includes("\u001b"), false, args.join(" "));
        assert.equal((stdout + stderr).includes("\u0007"), false, args.join(" "));
      }
      // what an attacker names in an error is quoted too
      for (const args of [
        ["rm", evil],
        ["run", evil],
        ["inspect", evil],
        ["run", "--rm", "cell", evil],
      ]) {
        const { code, stderr } = await box.gantry(args);
        assert.notEqual(code, 0);
        assert.equal(stderr.includes("\u001b"), false, `${args.join(" ")}: ${JSON.stringify(stderr)}`);
      }
      for (const id of (await box.must(["ps", "-aq"])).split("\n").filter(Boolean))
        await box.must(["rm", "-f", id]);
    });
  },
  gantryProgram,
);
