/**
 * An ordinary user with subordinate ids, for tests run as root: it stands in files that only a mount namespace of the
 * test's own shows, and no file of the machine is touched.
 */
import { copyFileSync, linkSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { must } from "./command.ts";
import { type MountNamespace, ownMounts } from "./mount-namespace.ts";
import { gantryOciProgram } from "./sandbox.ts";

/** What `needs` has to find. */
export const userNeeds = [
  "root",
  "setpriv",
  "unshare",
  "nsenter",
  "newuidmap",
  "/etc/subuid",
  "/etc/subgid",
] as const;

export const uid = 61_234;
export const firstSubId = 700_000;
export const subIds = 65_536;

export interface TestUser extends AsyncDisposable {
  /** Its home, with `bin` for programs, and `run` as XDG_RUNTIME_DIR. */
  readonly home: string;
  /** Where it lives. */
  readonly mounts: MountNamespace;
  /** What stands before its command lines; `groups` are directories of cgroups that it is put into first. */
  enter(groups?: readonly string[]): readonly string[];
  /** Path of gantry-oci where the user may read it. */
  readonly gantryOci: string;
}

let counter = 0;

/** Makes one; `script` is run in its mount namespace, as root. */
export async function makeUser(script = ""): Promise<TestUser> {
  // podman takes no capital letters in the path of an image
  const home = join(tmpdir(), `gantry-user-${process.pid}-${++counter}`);
  mkdirSync(home, { mode: 0o755 });
  for (const folder of ["bin", "run", "etc"]) mkdirSync(join(home, folder));
  const programs = dirname(gantryOciProgram);
  for (const name of readdirSync(programs).filter((name) => name.startsWith("gantry")))
    linkOrCopy(join(programs, name), join(home, "bin", name));
  const shown = (name: string, text: string) => {
    const path = join(home, "etc", name);
    writeFileSync(path, text);
    return `mount --bind ${path} /etc/${name}`;
  };
  const subordinate = `subject:${firstSubId}:${subIds}\n`;
  const lines = [
    shown("passwd", `root:x:0:0::/root:/bin/sh\nsubject:x:${uid}:${uid}::${home}:/bin/sh\n`),
    shown("group", `root:x:0:\nsubject:x:${uid}:\n`),
    shown("subuid", subordinate),
    shown("subgid", subordinate),
    script,
  ];
  await must(["chown", `${uid}:${uid}`, home, join(home, "run")]);
  const mounts = await ownMounts(lines.join("\n"));
  const ids = ["--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  const variables = [
    `PATH=${process.env.PATH}:/usr/sbin`,
    `HOME=${home}`,
    "USER=subject",
    `XDG_RUNTIME_DIR=${join(home, "run")}`,
  ];
  return {
    home,
    mounts,
    gantryOci: join(home, "bin/gantry-oci"),
    enter(groups = []) {
      const lines = [...groups.map((group) => `echo 0 > ${group}/cgroup.procs`), 'exec "$@"'];
      const shell = ["sh", "-c", lines.join("\n"), "sh"];
      return [...mounts.enter, ...shell, "setpriv", ...ids, "env", ...variables];
    },
    async [Symbol.asyncDispose]() {
      await mounts[Symbol.asyncDispose]();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The home may be on another file system, or the programs somebody else's. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
