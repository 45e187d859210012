/**
 * Reads the machine into HostFacts. Every part is read when it is first asked for, and once: a start
 * needs few of them, and files of /proc cost some tens of microseconds each.
 */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { GantryError, wrapErrno } from "../base/error.ts";
import { cgroupLayout } from "../linux/cgroup-mounts.ts";
import { parseMountinfo } from "../linux/mountinfo.ts";
import type { HostFacts } from "../plan/host-facts.ts";
import { parseLimits, parseStatus } from "./proc-self.ts";
import { readInUserNamespace } from "./user-namespace.ts";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw wrapErrno(error, "read facts about the host", path);
  }
}

/** A file that a kernel may lack. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function words(text: string): readonly string[] {
  return text
    .trim()
    .split(/[\s,]+/)
    .filter((word) => word !== "");
}

function readArchitecture(): "x64" | "arm64" {
  const { arch } = process;
  if (arch === "x64" || arch === "arm64") return arch;
  throw new GantryError("unimplemented", `run on ${arch}: only x64 and arm64 are supported`);
}

function readKernel(): HostFacts["kernel"] {
  const text = read("/proc/sys/kernel/osrelease").trim();
  const parts = /^(\d+)\.(\d+)/.exec(text);
  return { release: text, major: Number(parts?.[1] ?? 0), minor: Number(parts?.[2] ?? 0) };
}

/** Lines of mountinfo that tell of cgroups; a machine with thousands of mounts has few of them. */
function cgroupMounts() {
  const lines = read("/proc/self/mountinfo").split("\n");
  return parseMountinfo(lines.filter((line) => line.includes(" - cgroup")).join("\n"));
}

function isPermitted(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function mayWriteBelow(path: string): boolean {
  let nearest = path;
  while (nearest !== "/" && !existsSync(nearest)) nearest = dirname(nearest);
  return isPermitted(nearest, constants.W_OK);
}

class Facts implements HostFacts {
  readonly #known = new Map<string, unknown>();

  #once<T>(name: string, look: () => T): T {
    if (!this.#known.has(name)) this.#known.set(name, look());
    return this.#known.get(name) as T;
  }

  get kernel() {
    return this.#once("kernel", readKernel);
  }

  get architecture() {
    return this.#once("architecture", readArchitecture);
  }

  get #status() {
    return this.#once("status", () => parseStatus(read("/proc/self/status")));
  }

  get uid() {
    return this.#status.uid;
  }

  get gid() {
    return this.#status.gid;
  }

  get capabilities() {
    return this.#status.capabilities;
  }

  get inUserNamespace() {
    return this.#once("inUserNamespace", readInUserNamespace);
  }

  get setgroupsDenied() {
    // in the first user namespace nothing can be denied
    return (
      this.inUserNamespace && this.#once("setgroups", () => readIfThere("/proc/self/setgroups")) === "deny\n"
    );
  }

  mayWriteBelow = mayWriteBelow;

  programPath = (name: string) => {
    const directories = (process.env.PATH ?? "").split(":").filter((path) => path.startsWith("/"));
    return [...directories, "/usr/bin"]
      .map((directory) => `${directory}/${name}`)
      .find((path) => isPermitted(path, constants.X_OK));
  };

  get lastCapability() {
    return this.#once("lastCapability", () => Number(read("/proc/sys/kernel/cap_last_cap")));
  }

  get rlimits() {
    return this.#once("rlimits", () => parseLimits(read("/proc/self/limits")));
  }

  /** The entry in C notes it, since Bun and Node raise their own before a program can ask. */
  get fileLimitAtStart() {
    const noted = process.env.GANTRY_NOFILE;
    return noted !== undefined && /^[0-9]{1,10}$/.test(noted) ? Number(noted) : undefined;
  }

  get cgroups() {
    return this.#once("cgroups", () => cgroupLayout(cgroupMounts(), read("/proc/self/cgroup")));
  }

  get unifiedControllers() {
    return this.#once("unifiedControllers", () => {
      const mount = this.cgroups.unified?.mountPoint;
      return mount === undefined ? [] : words(readIfThere(`${mount}/cgroup.controllers`));
    });
  }

  get delegatedCgroupFiles() {
    return this.#once("delegatedCgroupFiles", () => {
      const listed = words(readIfThere("/sys/kernel/cgroup/delegate"));
      return listed.length > 0 ? listed : ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];
    });
  }

  get resctrl() {
    return this.#once("resctrl", () => {
      const lines = read("/proc/self/mountinfo").split("\n");
      return parseMountinfo(lines.filter((line) => line.includes(" - resctrl ")).join("\n")).at(-1)
        ?.mountPoint;
    });
  }

  get securityModules() {
    return this.#once("securityModules", () => {
      const listed = words(readIfThere("/sys/kernel/security/lsm"));
      if (listed.length > 0) return listed;
      // securityfs is not mounted everywhere; both modules have a switch of their own
      const modules: string[] = [];
      if (readIfThere("/sys/module/apparmor/parameters/enabled").startsWith("Y")) modules.push("apparmor");
      if (readIfThere("/sys/fs/selinux/enforce") !== "") modules.push("selinux");
      return modules;
    });
  }
}

/** The facts of this machine, as this process sees it now. */
export function readHostFacts(): HostFacts {
  return new Facts();
}
