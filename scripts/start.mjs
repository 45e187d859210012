/**
 * The door of every npm script: `node scripts/start.mjs TASK [args]`.
 *
 * Plain JavaScript for Node >= 20, because it runs before node_modules exists. It brings the npm packages and
 * the Debian packages that the task needs (only what is missing, so the second time costs nothing), then hands
 * over to the task itself, which Bun runs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bun = join(root, "node_modules/.bin/bun");

/** What each task runs, and the Debian packages without which a part of it is skipped. */
const tasks = {
  build: { script: "scripts/build.ts", packages: ["gcc", "libc6-dev", "musl-tools"] },
  check: { script: "scripts/check.ts", packages: [] },
  test: {
    script: "scripts/test.ts",
    packages: [
      ...["gcc", "libc6-dev", "musl-tools", "libseccomp-dev", "busybox-static", "openssl", "zstd"],
      ...["procps", "iproute2", "util-linux", "attr", "libcap2-bin", "strace", "docker-registry", "skopeo"],
      ...["runc", "crun", "conmon", "podman", "buildah", "containerd", "docker.io", "catatonit", "tini"],
      ...["uidmap", "criu", "iptables", "python3", "qemu-system-x86", "e2fsprogs", "cpio"],
    ],
  },
  quickstart: {
    script: "scripts/quickstart.ts",
    packages: ["gcc", "libc6-dev", "musl-tools", "busybox-static"],
  },
  bench: {
    script: "bench/run.ts",
    packages: [
      ...["gcc", "libc6-dev", "musl-tools", "busybox-static", "docker-registry", "skopeo"],
      ...["runc", "crun", "podman", "containerd", "docker.io", "strace", "time"],
    ],
  },
};

const [name = "", ...args] = process.argv.slice(2);
const task = tasks[name];
if (!task) fail(`unknown task "${name}": one of ${Object.keys(tasks).join(", ")}`);
// `test unit` is the quick loop: it needs no system package, and asks apt for none.
const quick = name === "test" && args.length > 0 && args.every((arg) => arg === "unit" || arg === "check");

bringNodeModules();
if (!quick) bringPackages(task.packages);
const done = spawnSync(bun, [join(root, task.script), ...args], { cwd: root, stdio: "inherit" });
if (done.error) fail(`start ${task.script}: ${done.error.message}`);
process.exit(done.status ?? 1);

/** Runs `npm ci` unless node_modules already holds what package-lock.json says. */
function bringNodeModules() {
  const reason = staleReason();
  if (reason) {
    console.error(`npm ci (${reason})`);
    // its warnings are about the Node of the library's users, which building does not need
    const ci = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      ...{ cwd: root, stdio: "inherit" },
    });
    if (ci.status !== 0) fail("npm ci failed");
  }
  // The packages "bun" and "node" put their program in place in an install script, which npm may be told to
  // skip; both scripts can be run by hand.
  const installers = { bun: "bun/install.js", node: "node/installArchSpecificPackage.js" };
  for (const [program, script] of Object.entries(installers)) {
    if (works(program)) continue;
    const dir = join(root, "node_modules", program);
    spawnSync(process.execPath, [join(root, "node_modules", script)], { cwd: dir, stdio: "inherit" });
    if (!works(program)) fail(`node_modules/.bin/${program} does not run, also after its install script`);
  }
}

function works(program) {
  return spawnSync(join(root, "node_modules/.bin", program), ["--version"]).status === 0;
}

/** Compares package-lock.json with the record that npm leaves in node_modules when it has finished. */
function staleReason() {
  const hidden = join(root, "node_modules/.package-lock.json");
  if (!existsSync(hidden)) return "node_modules is not there";
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const present = JSON.parse(readFileSync(hidden, "utf8")).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || entry.optional) continue;
    if (present[path]?.version !== entry.version) return `${path} is not at ${entry.version}`;
  }
  return undefined;
}

/** Installs what is missing where that is possible; says so and goes on where it is not. */
function bringPackages(packages) {
  let missing = packages.filter((name) => !installed(name));
  // Any compiler that answers to `cc` will do.
  if (spawnSync("cc", ["--version"]).status === 0) missing = missing.filter((name) => name !== "gcc");
  if (missing.length === 0) return;
  const skip = (why) =>
    console.error(`not installed: ${missing.join(" ")} (${why}); what needs them is skipped`);
  if (process.env.GANTRY_NO_APT) return skip("GANTRY_NO_APT is set");
  if (spawnSync("apt-get", ["--version"]).status !== 0) return skip("this machine has no apt-get");
  if (process.getuid?.() !== 0) return skip(`root may bring them: apt-get install ${missing.join(" ")}`);
  console.error(`apt-get install ${missing.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) =>
    spawnSync("apt-get", args, { stdio: ["ignore", "ignore", "inherit"], env }).status === 0;
  const install = ["install", "-y", "-q", "--no-install-recommends"];
  apt("update", "-q");
  withoutServices(() => {
    // One name that this release does not have must not keep the others away.
    if (!apt(...install, ...missing)) for (const one of missing) apt(...install, one);
  });
  missing = missing.filter((name) => !installed(name));
  if (missing.length > 0) skip("apt-get failed");
}

/** Packages with a daemon start it when they are installed, unless this file forbids it; the tests start their own. */
function withoutServices(install) {
  const policy = "/usr/sbin/policy-rc.d";
  if (existsSync(policy)) return install();
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    install();
  } finally {
    rmSync(policy, { force: true });
  }
}

function installed(name) {
  const query = spawnSync("dpkg-query", ["-W", "-f", "${Status}", name], { encoding: "utf8" });
  return query.status === 0 && query.stdout.startsWith("install ok");
}

function fail(message) {
  console.error(`start: ${message}`);
  process.exit(1);
}
