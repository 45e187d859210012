/**
 * Values of a config.json that were chosen to hurt (CVE-2022-0811, CVE-2024-3154, CVE-2024-9341, CVE-2023-0778):
 * each is refused with the JSON pointer of its place, or does nothing but what it says inside the container.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { attack, type Cell, type RawConfig } from "./cell.ts";

type Change = (config: RawConfig) => void;

/** Sets the member at a path such as "process.args.1". */
function set(path: string, value: unknown): Change {
  return (config) => {
    const steps = path.split(".");
    const last = steps.pop()!;
    let place = config;
    for (const step of steps) place = place[step] ??= {};
    place[last] = value;
  };
}

/** Every change is refused and the refusal names the pointer; nothing runs. */
async function refused(cell: Cell, cases: readonly (readonly [string, Change])[]): Promise<void> {
  const rootfs = cell.rootfs();
  for (const [place, change] of cases) {
    const { code, pointer, error, stdout } = await cell.run(["/bin/echo", "it ran"], { rootfs, change });
    assert.equal(code, undefined, `${place} was taken: ${change}`);
    assert.equal(stdout, "", place);
    assert.equal(pointer, place, error);
    assert.ok(error.length < 12_000, `the error of ${place} has ${error.length} characters`);
  }
}

const nul = "a\0b";

attack("a NUL character is refused wherever a text may stand", (cell) =>
  refused(cell, [
    ["/process/args/0", set("process.args", [nul])],
    ["/process/args/1", set("process.args", ["/bin/echo", nul])],
    ["/process/env/0", set("process.env", [`A=${nul}`])],
    ["/process/cwd", set("process.cwd", `/${nul}`)],
    ["/hostname", set("hostname", nul)],
    ["/domainname", set("domainname", nul)],
    ["/root/path", set("root.path", `/tmp/${nul}`)],
    ["/mounts/0/destination", set("mounts.0.destination", `/${nul}`)],
    ["/mounts/0/source", set("mounts.0.source", nul)],
    ["/mounts/0/type", set("mounts.0.type", nul)],
    ["/mounts/0/options/0", set("mounts.0.options", [nul])],
    ["/linux/cgroupsPath", set("linux.cgroupsPath", `/${nul}`)],
    ["/linux/maskedPaths/0", set("linux.maskedPaths", [`/${nul}`])],
    ["/linux/readonlyPaths/0", set("linux.readonlyPaths", [`/${nul}`])],
    ["/linux/mountLabel", set("linux.mountLabel", nul)],
    ["/linux/sysctl/net.ipv4.ip_forward", set("linux.sysctl", { "net.ipv4.ip_forward": nul })],
    ["/process/apparmorProfile", set("process.apparmorProfile", nul)],
    ["/process/selinuxLabel", set("process.selinuxLabel", nul)],
  ]),
);

attack("a value of another type, or without its bounds, is refused", (cell) =>
  refused(cell, [
    ["/process/args", set("process.args", "/bin/sh")],
    ["/process/args", set("process.args", [])],
    ["/process/args", set("process.args", null)],
    ["/process/args/0", set("process.args", [""])],
    ["/process/args/0", set("process.args", [7])],
    ["/process/args", set("process.args", { length: 1, 0: "/bin/sh" })],
    ["/process/env/0", set("process.env", ["NOEQUALS"])],
    ["/process/env/0", set("process.env", ["=value"])],
    ["/process/env/0", set("process.env", [""])],
    ["/process/cwd", set("process.cwd", "relative")],
    ["/process/cwd", set("process.cwd", "")],
    ["/process/user/umask", set("process.user.umask", 0o10000)],
    ["/process/user/umask", set("process.user.umask", -1)],
    ["/process/oomScoreAdj", set("process.oomScoreAdj", 1001)],
    ["/process/noNewPrivileges", set("process.noNewPrivileges", "false")],
    ["/root", set("root", "/")],
    ["/linux", set("linux", [])],
    ["/mounts", set("mounts", {})],
    ["/mounts/0/destination", set("mounts.0.destination", "")],
    [
      "/mounts",
      set(
        "mounts",
        Array.from({ length: 100_000 }, () => ({ destination: "/x", type: "tmpfs" })),
      ),
    ],
    ["/linux/namespaces/0/type", set("linux.namespaces", [{ type: "everything" }])],
    ["/linux/namespaces/1/type", set("linux.namespaces", [{ type: "mount" }, { type: "mount" }])],
    ["/linux/namespaces", set("linux.namespaces", [])],
    ["/linux/rootfsPropagation", set("linux.rootfsPropagation", "everywhere")],
    ["/linux/maskedPaths/0", set("linux.maskedPaths", ["relative"])],
    ["/linux/readonlyPaths/0", set("linux.readonlyPaths", ["../etc"])],
    ["/ociVersion", set("ociVersion", "2.0.0")],
    ["/ociVersion", set("ociVersion", "1.0.0\n")],
    ["/annotations", set("annotations", { "": "x" })],
  ]),
);

attack(
  "nonsense limits are refused: ids, counts and sizes below zero, beyond 64 bits, or no numbers",
  (cell) => {
    const rlimit = (type: string, soft: unknown, hard: unknown) =>
      set("process.rlimits", [{ type, soft, hard }]);
    const resources = (path: string, value: unknown) => set(`linux.resources.${path}`, value);
    return refused(cell, [
      ["/process/rlimits/0/type", rlimit("RLIMIT_EVERYTHING", 1, 1)],
      ["/process/rlimits/0/type", rlimit("../../x", 1, 1)],
      ["/process/rlimits/0/soft", rlimit("RLIMIT_NOFILE", 2, 1)],
      ["/process/rlimits/0/soft", rlimit("RLIMIT_NOFILE", -1, 1)],
      ["/process/rlimits/0/hard", rlimit("RLIMIT_NOFILE", 1, 2 ** 65)],
      ["/process/rlimits/0/hard", rlimit("RLIMIT_NOFILE", 1, 1.5)],
      [
        "/process/rlimits/1/type",
        set(
          "process.rlimits",
          [0, 1].map(() => ({ type: "RLIMIT_CPU", soft: 1, hard: 1 })),
        ),
      ],
      ["/linux/resources/pids/limit", resources("pids", { limit: "7" })],
      ["/linux/resources/memory/limit", resources("memory", { limit: 2 ** 70 })],
      ["/linux/resources/memory/limit", resources("memory", { limit: -7 })],
      ["/linux/resources/cpu/period", resources("cpu", { period: -1 })],
      ["/linux/resources/cpu/cpus", resources("cpu", { cpus: "0\u0001" })],
      ["/linux/resources/cpu/cpus", resources("cpu", { cpus: "0;reboot" })],
      ["/linux/resources/cpu/mems", resources("cpu", { mems: "../0" })],
      [
        "/linux/resources/hugepageLimits/0/pageSize",
        resources("hugepageLimits", [{ pageSize: "../2MB", limit: 1 }]),
      ],
    ]);
  },
);

attack("a hostile filter is refused", (cell) =>
  refused(cell, [
    ["/linux/seccomp/defaultAction", set("linux.seccomp", { defaultAction: "SCMP_ACT_PARTY" })],
    [
      "/linux/seccomp/syscalls/0/args/0/index",
      set("linux.seccomp", {
        defaultAction: "SCMP_ACT_ERRNO",
        syscalls: [
          { names: ["read"], action: "SCMP_ACT_ALLOW", args: [{ index: 6, value: 0, op: "SCMP_CMP_EQ" }] },
        ],
      }),
    ],
    [
      "/linux/seccomp/architectures/0",
      set("linux.seccomp", { defaultAction: "SCMP_ACT_ERRNO", architectures: ["SCMP_ARCH_PDP11"] }),
    ],
  ]),
);

attack("a config.json that is huge, deep or no JSON is refused before it costs anything", async (cell) => {
  const { parseRuntimeConfig } = await import("../../src/spec/runtime-config.ts");
  const started = performance.now();
  assert.throws(() => parseRuntimeConfig(`{"x":"${"a".repeat(9e6)}"}`), /more than the limit/);
  assert.throws(() => parseRuntimeConfig(`${"[".repeat(1e6)}`), /parse config.json/);
  assert.throws(
    () => parseRuntimeConfig(`{"linux":${'{"a":'.repeat(1e5)}1${"}".repeat(1e5)}}`),
    /parse config.json/,
  );
  assert.throws(() => parseRuntimeConfig(""), /parse config.json/);
  assert.throws(() => parseRuntimeConfig(Buffer.from([0xff, 0xfe])), /UTF-8/);
  assert.ok(performance.now() - started < 2000);
  // names that JavaScript gives a meaning to are names
  const { stdout, error } = await cell.run(["/bin/echo", "still here"], {
    change: (config) => {
      const poison = JSON.parse(
        '{"__proto__":{"polluted":"x"},"constructor":{"prototype":{"polluted":"x"}}}',
      );
      config.annotations = { __proto__x: "x" };
      Object.assign(config.linux, { sysctl: {}, intelRdt: null });
      config.hooks = poison;
    },
  });
  assert.equal(stdout, "still here\n", error);
  assert.equal(({} as { polluted?: string }).polluted, undefined);
});

attack("texts that the kernel does not take are refused by it, with their place", async (cell) => {
  const long = "x".repeat(5000);
  await refused(cell, [
    ["/hostname", set("hostname", "h".repeat(100))],
    ["/domainname", set("domainname", "d".repeat(100))],
    ["/process/cwd", set("process.cwd", `/${long}`)],
    ["/process/cwd", set("process.cwd", `/${"y".repeat(300)}`)],
    ["/mounts/0/destination", set("mounts.0.destination", `/${long}`)],
    ["/mounts/1/destination", set("mounts.1.destination", `/${"y".repeat(300)}`)],
    ["/linux/maskedPaths/0", set("linux.maskedPaths", [`/${long}`])],
    ["/linux/readonlyPaths/0", set("linux.readonlyPaths", [`/${long}`])],
    ["/mounts/0", set("mounts.0", { destination: "/x", type: `no-such-${long}` })],
    ["/mounts/0", set("mounts.0", { destination: "/x", type: "tmpfs", options: [`size=${long}`] })],
    ["/mounts/0", set("mounts.0", { destination: "/x", type: "tmpfs", options: [`${long}=1`] })],
    ["/process/args/0", set("process.args", [`/${long}`])],
    ["/process/args", set("process.args", ["/bin/echo", "x".repeat(200_000)])],
    ["/process/args", set("process.env", ["PATH=/bin", `A=${"x".repeat(200_000)}`])],
  ]);
});

attack("texts with slashes, dots, line ends and escapes stay the text that they are", async (cell) => {
  const names = ["a/b", "../../etc/passwd", "..", "a\nb", "\u001b[31mred", "a b;c|d$(e)`f`", "-n", "ünïcödé"];
  for (const name of names) {
    const { stdout, error } = await cell.run(["/bin/hostname"], { change: set("hostname", name) });
    assert.equal(stdout, `${name}\n`, error);
    const echoed = await cell.run(["/bin/sh", "-c", 'printf "%s\\n" "$X"'], {
      change: set("process.env", ["PATH=/bin", `X=${name}`]),
    });
    assert.equal(echoed.stdout, `${name}\n`);
  }
  assert.doesNotMatch(hostname(), /[/\n]/, "the host keeps its own name");
});

attack(
  "relative and odd mount destinations land in the root, and over the root they hide nothing of it",
  async (cell) => {
    for (const destination of ["mnt/rel", ".", "./", "..", "../..", "/", "//", "/.", "/..", "mnt/../../.."]) {
      const { code, stdout, pointer, error } = await cell.run(
        ["/bin/sh", "-c", "ls / | head -n 20; cat /proc/self/mountinfo | cut -d' ' -f5"],
        {
          change: (config) => {
            config.mounts.push({ destination, type: "tmpfs", source: "tmpfs" });
          },
        },
      );
      if (code === undefined) assert.match(pointer, /^\/mounts\/7\/destination$/, error);
      else {
        assert.match(stdout, /^probe$/m, `${destination}: ${error}`);
        for (const place of stdout.split("\n").filter((line) => line.startsWith("/")))
          assert.match(place, /^\/(proc|dev|sys|mnt)?/);
      }
    }
  },
);

attack(
  "CVE-2024-3154: annotations are data: none is a property of a service or a value of the executor",
  async (cell) => {
    const { code, error } = await cell.run(["/bin/true"], {
      change: set("annotations", {
        "org.systemd.property.ExecStartPre": "[('/bin/touch', ['touch', '/tmp/owned'], false)]",
        "run.oci.handler": "krun",
        "run.oci.hooks.stdout": "/tmp/owned",
        "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel": "true",
        weird: '@PID@","x":"@TIME@',
        [`${"k".repeat(1000)}`]: "v".repeat(1000),
      }),
    });
    assert.equal(code, 0, error);
    assert.doesNotMatch(readFileSync("/proc/self/mountinfo", "utf8"), /owned/);
  },
);

attack(
  "annotations of hundreds of kilobytes reach hooks whole, and a hook that does not read holds nobody up",
  async (cell) => {
    const seen = join(cell.folder(), "seen");
    const { code, error } = await cell.run(["/bin/true"], {
      timeoutMs: 10_000,
      change: (config) => {
        config.annotations = { long: "v".repeat(300_000) };
        config.hooks = {
          createRuntime: [
            { path: "/bin/true" },
            { path: "/bin/sh", args: ["sh", "-c", `wc -c > ${seen}`], env: ["PATH=/usr/bin:/bin"] },
          ],
        };
      },
    });
    assert.equal(code, 0, error);
    assert.ok(Number(readFileSync(seen, "utf8")) > 300_000);
    const tooLong = await cell.run(["/bin/true"], {
      change: set("annotations", { long: "v".repeat(2_000_000) }),
    });
    assert.equal(tooLong.code, undefined);
    assert.match(tooLong.error, /record/);
  },
);
