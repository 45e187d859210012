/**
 * "No path-based operation inside an untrusted root": every system call of a whole start is traced, and each one
 * that takes a path between the attaching of the root and pivot must be of a form that cannot be led away.
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodePlan } from "../../src/plan/encode.ts";
import { command } from "../lib/command.ts";
import { attack, without } from "./cell.ts";

/** Calls that take a path: the trace shows nothing else. */
const traced = [
  "%file",
  "open_tree,move_mount,mount_setattr,fspick,fsconfig,fsmount,fsopen,openat2,openat,mknodat,mkdirat,symlinkat",
  "unlinkat,fchownat,fchmodat,readlinkat,newfstatat,statx,renameat2,linkat,name_to_handle_at,faccessat2,chdir,fchdir,chroot,pivot_root",
].join(",");

/** A call in the trace: its name and its arguments as strace prints them. */
interface Call {
  readonly name: string;
  readonly args: string;
  readonly line: string;
}

function parse(text: string): Call[] {
  return text.split("\n").flatMap((line) => {
    const match = /^(?:\[?pid +)?\d*\]? *(?:[\d.]+ )?(\w+)\((.*)$/.exec(line);
    return match ? [{ name: match[1]!, args: match[2]!, line }] : [];
  });
}

/** Strings of the call, without those that are no paths. */
function stringsOf(args: string): string[] {
  return [...args.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]!);
}

/** Why a call cannot be led away by what is in the root; undefined if it can. */
function safeBecause({ name, args }: Call): string | undefined {
  const strings = stringsOf(args);
  const fd = /^(-?\d+|AT_FDCWD)/.exec(args)?.[1];
  if (name === "fsopen" || name === "fsconfig" || name === "fsmount") return "no path in a root";
  if (name === "openat2" && /RESOLVE_(IN_ROOT|BENEATH)/.test(args) && fd !== "AT_FDCWD")
    return "openat2 in root";
  if (strings.length > 0 && strings.every((text) => text === "")) return "descriptors alone";
  // the root of this process is the host's until pivot: what begins there is the host's own
  if (name === "open_tree" && args.startsWith('AT_FDCWD, "/dev/null"'))
    return "the host's /dev/null, then checked";
  if (/^(AT_FDCWD, )?"\/sys\/fs\/cgroup\/[^"]+", /.test(args) && (name === "open_tree" || name === "open"))
    return "the host's cgroups";
  // below a directory that was proved to be a cgroup mount: such a file system holds no links
  if (name === "openat" && /^\d+, "attack-[^"/]+\/tasks", [^)]*O_NOFOLLOW/.test(args))
    return "the host's cgroups";
  if (
    name === "fchdir" ||
    (name === "pivot_root" && strings.every((text) => text === ".")) ||
    (name === "open" && args.startsWith('"/", '))
  )
    return "pivot";
  // the target of a link is text; what readlinkat found is no argument
  const relative =
    name === "symlinkat" ? strings.slice(1) : name === "readlinkat" ? strings.slice(0, 1) : strings;
  const numbered = name === "symlinkat" ? /, \d+, "/.test(args) : fd !== undefined && fd !== "AT_FDCWD";
  const single = relative.every((text) => text !== "" && !text.includes("/") && text !== "..");
  if (!single || !numbered) return undefined;
  if (name === "openat")
    return relative[0] === "." || /O_NOFOLLOW|O_EXCL/.test(args) ? "one component, not followed" : undefined;
  if (["mkdirat", "mknodat", "symlinkat", "readlinkat", "unlinkat"].includes(name))
    return "one component, never followed";
  if (["newfstatat", "fchownat", "statx"].includes(name))
    return /AT_SYMLINK_NOFOLLOW/.test(args) ? "one component, not followed" : undefined;
  return undefined;
}

attack(
  "no path-based operation inside an untrusted root: proved by tracing the executor",
  async (cell) => {
    const rootfs = cell.rootfs();
    symlinkSync("mnt", join(rootfs, "alias"));
    mkdirSync(join(rootfs, "etc/dir"));
    symlinkSync("/etc/passwd", join(rootfs, "etc/dir/link"));
    writeFileSync(join(rootfs, "etc/dir/file"), "x");
    const source = cell.folder();
    writeFileSync(join(source, "file"), "x");
    const bind = (destination: string, from: string) => ({
      destination,
      type: "bind",
      source: from,
      options: ["rbind", "ro"],
    });
    const plan = cell.compile(["/bin/true"], {
      rootfs,
      options: { readOnly: true, sysctls: { "net.ipv4.ip_forward": "1" } },
      change: (config) => {
        config.mounts.push(
          bind("/alias/deep/deeper", source),
          bind("/made/file", join(source, "file")),
          bind("/alias/../tmp/x", source),
          { destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "ro"] },
          ...Array.from({ length: 40 }, (_, index) => bind(`/mnt/many/${index}/a`, source)),
        );
        config.linux.maskedPaths.push("/etc/group", "/mnt", "/alias/deep", "/not/there");
        config.linux.readonlyPaths.push("/bin", "/alias/many", "/not/there");
        config.linux.devices = [
          { path: "/dev/deep/er/null", type: "c", major: 1, minor: 3, fileMode: 0o666 },
        ];
      },
    });
    const file = join(cell.folder(), "plan");
    writeFileSync(file, encodePlan(without("report")(plan)));
    const out = join(cell.folder(), "trace");
    const shell = `exec strace -f -ff -s 4096 -e trace=${traced} -o ${out} ${cell.executor} plan 3 3< ${file}`;
    const { code, stderr } = await command(["/bin/sh", "-c", shell], { env: { GANTRY_TEST_DIR: cell.dir } });
    assert.equal(code, 0, stderr);

    const traces = readdirSync(join(out, "..")).map((name) =>
      parse(readFileSync(join(out, "..", name), "utf8")),
    );
    const child = traces.find((calls) => calls.some(({ name }) => name === "pivot_root"));
    assert.ok(child, "the child was traced");
    const attached = child.findIndex(({ name, args }) => name === "move_mount" && stringsOf(args)[1] === "/");
    const pivoted = child.findIndex(({ name }) => name === "pivot_root");
    assert.ok(attached >= 0 && pivoted > attached);
    const within = child.slice(attached + 1, pivoted + 1);
    assert.ok(within.length > 200, "the trace shows the work");
    assert.deepEqual(
      within.filter((call) => safeBecause(call) === undefined).map(({ line }) => line),
      [],
    );
    // every way of being safe was met: the rule is not an empty one
    const reasons = new Set(within.map(safeBecause));
    for (const reason of ["openat2 in root", "descriptors alone", "one component, never followed", "pivot"])
      assert.ok(reasons.has(reason), reason);
    // no other process of the start touched the root by its path after the child was there
    const others = traces.filter((calls) => calls !== child).flat();
    const intoRoot = others.filter(
      ({ args, name }) => name !== "open_tree" && stringsOf(args).some((text) => text.startsWith(rootfs)),
    );
    assert.deepEqual(
      intoRoot.map(({ line }) => line),
      [],
    );
  },
  "strace",
);

attack(
  "the proof can fail: the trace of a path-based runtime shows its operations in the root",
  async (cell) => {
    const rootfs = cell.rootfs();
    const id = cell.next();
    const bundle = cell.bundle(id, ["/bin/true"], { rootfs });
    const out = join(cell.folder(), "trace");
    const runc = ["runc", "--root", cell.folder(), "run", "--bundle", bundle, id];
    const strace = ["strace", "-f", "-ff", "-s", "4096", "-e", `trace=${traced},mount`, "-o", out];
    const { code, stderr } = await command([...strace, ...runc], { env: { GANTRY_TEST_DIR: cell.dir } });
    assert.equal(code, 0, stderr);
    const calls = readdirSync(join(out, "..")).flatMap((name) =>
      parse(readFileSync(join(out, "..", name), "utf8")),
    );
    const inRoot = calls.filter(({ args }) => stringsOf(args).some((text) => text.startsWith(`${rootfs}/`)));
    assert.ok(inRoot.filter((call) => safeBecause(call) === undefined).length > 10);
  },
  "strace",
  "runc",
);
