/** Options of run for limits, devices, names and namespaces, as the container and the kernel see them. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

/** What a container prints that runs a shell script. */
const sh = (box: Sandbox, options: readonly string[], script: string) =>
  box.must(["run", "--rm", ...options, "busybox", "sh", "-c", script]);

/** The file of the container's cgroup that there is, in whichever hierarchy. */
async function cgroupFile(box: Sandbox, name: string, ...files: readonly string[]): Promise<string> {
  const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", name]);
  const paths = readFileSync(`/proc/${pid}/cgroup`, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(":") as [string, string, string]);
  for (const [, controllers, path] of paths)
    for (const folder of [...controllers.split(","), controllers, "unified", ""])
      for (const file of files) {
        const place = join("/sys/fs/cgroup", folder, path, file);
        if (existsSync(place)) return readFileSync(place, "utf8").trim();
      }
  assert.fail(`none of ${files.join(", ")}`);
}

test("every limit of memory, CPU and processes is written", { skip }, () =>
  withBusybox(async (box) => {
    const flags = [
      ...["-m", "100m", "--memory-swap", "150m", "--memory-reservation", "50m", "--memory-swappiness", "7"],
      ...["--cpu-period", "50000", "--cpu-quota", "25000", "--cpu-shares", "600", "--cpuset-cpus", "0"],
      ...["--cpuset-mems", "0", "--pids-limit", "33", "--oom-score-adj", "77", "--shm-size", "5m"],
    ];
    await box.must(["run", "-d", "--name", "one", ...flags, "busybox", "sleep", "1000"]);
    const is = async (expected: string, ...files: readonly string[]) =>
      assert.equal(await cgroupFile(box, "one", ...files), expected, files.join(" "));
    await is(String(100 << 20), "memory.limit_in_bytes", "memory.max");
    await is(String(50 << 20), "memory.soft_limit_in_bytes", "memory.low");
    const v1 = existsSync("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    if (v1) {
      await is(String(150 << 20), "memory.memsw.limit_in_bytes");
      await is("7", "memory.swappiness");
      await is("25000", "cpu.cfs_quota_us");
      await is("50000", "cpu.cfs_period_us");
      await is("600", "cpu.shares");
    } else {
      await is(String(50 << 20), "memory.swap.max");
      await is("25000 50000", "cpu.max");
    }
    await is("0", "cpuset.cpus");
    await is("0", "cpuset.mems");
    await is("33", "pids.max");
    const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", "one"]);
    assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8").trim(), "77");
    const shown = JSON.parse(await box.must(["inspect", "-f", "{{json .HostConfig}}", "one"]));
    assert.deepEqual(
      [shown.CpuPeriod, shown.CpuQuota, shown.MemorySwappiness, shown.OomScoreAdj, shown.ShmSize],
      [50000, 25000, 7, 77, 5 << 20],
    );
    await box.must(["rm", "-f", "one"]);
    assert.match(await sh(box, ["--shm-size", "5m"], "df -k /dev/shm | tail -1"), /^shm +5120 /);
    const refusals: readonly (readonly [readonly string[], RegExp])[] = [
      [["--cpus", "1", "--cpu-quota", "5000"], /Nano CPUs and CPU Quota cannot both be set/],
      [["--cpu-period", "10"], /CPU cfs period can not be less than 1ms/],
      [["--cpu-quota", "10"], /CPU cfs quota can not be less than 1ms/],
      [["--memory-swappiness", "101"], /valid memory swappiness range is 0-100/],
      [
        ["-m", "10m", "--memory-reservation", "20m"],
        /Minimum memory limit can not be less than memory reservation/,
      ],
      [["--blkio-weight", "5"], /Range of blkio weight is from 10 to 1000/],
      [["--oom-score-adj", "2000"], /range for oom score adj is \[-1000, 1000\]/],
      [["--cgroup-parent", "../up"], /invalid cgroup parent/],
    ];
    for (const [options, reason] of refusals) {
      const { code, stderr } = await box.gantry(["run", "--rm", ...options, "busybox", "true"]);
      assert.equal(code, 125, options.join(" "));
      assert.match(stderr, reason);
    }
  }),
);

test(
  "the OOM killer can be told to leave a container alone (cgroup v1)",
  {
    skip: skip || needs("/sys/fs/cgroup/memory/memory.oom_control"),
  },
  () =>
    withBusybox(async (box) => {
      await box.must([
        "run",
        "-d",
        "--name",
        "one",
        "-m",
        "20m",
        "--oom-kill-disable",
        "busybox",
        "sleep",
        "1000",
      ]);
      assert.match(await cgroupFile(box, "one", "memory.oom_control"), /^oom_kill_disable 1$/m);
      assert.equal(await box.must(["inspect", "-f", "{{.HostConfig.OomKillDisable}}", "one"]), "true");
      await box.must(["rm", "-f", "one"]);
    }),
);

test(
  "limits of block devices reach the files of the kernel, at the start and by update",
  {
    skip: skip || needs("/dev/loop0"),
  },
  () =>
    withBusybox(async (box) => {
      const rates = ["--device-read-bps", "/dev/loop0:1mb", "--device-write-iops", "/dev/loop0:20"];
      await box.must(["run", "-d", "--name", "one", ...rates, "busybox", "sleep", "1000"]);
      const read = () => cgroupFile(box, "one", "blkio.throttle.read_bps_device", "io.max");
      const write = () => cgroupFile(box, "one", "blkio.throttle.write_iops_device", "io.max");
      assert.match(await read(), /^7:0 (1048576|rbps=1048576 )/);
      assert.match(await write(), /^7:0 (20$|.*wiops=20)/);
      await box.must(["update", "--device-read-bps", "/dev/loop0:2mb", "one"]);
      assert.match(await read(), /^7:0 (2097152|rbps=2097152 )/);
      assert.match(await write(), /^7:0 (20$|.*wiops=20)/);
      const shown = JSON.parse(await box.must(["inspect", "-f", "{{json .HostConfig}}", "one"]));
      assert.deepEqual(shown.BlkioDeviceReadBps, [{ Path: "/dev/loop0", Rate: 2 << 20 }]);
      await box.must(["rm", "-f", "one"]);
      const none = await box.gantry(["run", "--rm", "--device-read-bps", "/dev/null:1mb", "busybox", "true"]);
      assert.match(none.stderr, /find block device "\/dev\/null": not a block device/);
    }),
);

test("devices: under their own names and others, with the rights that are given", { skip }, () =>
  withBusybox(async (box) => {
    const device = "/dev/fuse";
    const open = (path: string, how: string) => `(exec 3${how}${path}) 2>/dev/null && echo ok || echo no`;
    if (existsSync(device)) {
      assert.match(
        await sh(box, ["--device", device], `ls -l ${device}; ${open(device, "<>")}`),
        /^c.* 10, 229 .*\nok$/,
      );
      assert.equal(
        await sh(
          box,
          ["--device", `${device}:/dev/other:r`],
          `ls /dev/fuse 2>&1; ${open("/dev/other", "<")}; ${open("/dev/other", "<>")}`,
        ),
        "ls: /dev/fuse: No such file or directory\nok\nno",
      );
      assert.equal(
        await sh(box, ["--device", `${device}:rw`], `mknod /m c 10 229 2>&1; ${open(device, "<>")}`),
        "ok",
      );
      const without = `mknod /m c 10 229; ${open("/m", "<>")}`;
      assert.equal(await sh(box, [], without), "no");
      assert.equal(await sh(box, ["--device-cgroup-rule", "c 10:229 rwm"], without), "ok");
      assert.equal(await sh(box, ["--device-cgroup-rule", "c 10:* r"], without), "no");
      assert.equal(
        await sh(box, ["--privileged", "--device", `${device}:/dev/twice`], "ls /dev/fuse /dev/twice"),
        "/dev/fuse\n/dev/twice",
      );
    }
    const folder = mkdtempSync(join(box.dir, "devices-"));
    await box.must([
      "run",
      "--rm",
      "-v",
      `${folder}:/d`,
      "--cap-add",
      "MKNOD",
      "--device-cgroup-rule",
      "c 1:* rwm",
      "busybox",
      "sh",
      "-c",
      "mkdir /d/sub; mknod /d/zero c 1 5; mknod /d/sub/null c 1 3",
    ]);
    assert.equal(
      await sh(box, ["--device", `${folder}:/dev/all`], "cd /dev/all; ls -R"),
      ".:\nsub\nzero\n\n./sub:\nnull",
    );
    const shown = await box.must(["create", "--name", "one", "--device", "/dev/null:/dev/x:r", "busybox"]);
    assert.ok(shown);
    assert.equal(
      await box.must(["inspect", "-f", "{{json .HostConfig.Devices}}", "one"]),
      '[{"PathOnHost":"/dev/null","PathInContainer":"/dev/x","CgroupPermissions":"r"}]',
    );
    await box.must(["rm", "one"]);
    const refusals: readonly (readonly [readonly string[], RegExp])[] = [
      [
        ["--device", "/dev/nope"],
        /error gathering device information while adding custom device "\/dev\/nope": no such file or directory/,
      ],
      [["--device", "/etc/passwd"], /custom device "\/etc\/passwd": not a device node/],
      [["--device", "/dev/null:/x:zz"], /bad mode specified: zz/],
      [["--device", "null"], /null is not an absolute path/],
      [["--device-cgroup-rule", "x 1:1 r"], /invalid device cgroup rule format: 'x 1:1 r'/],
    ];
    for (const [options, reason] of refusals) {
      const { code, stderr } = await box.gantry(["run", "--rm", ...options, "busybox", "true"]);
      assert.equal(code, 125, options.join(" "));
      assert.match(stderr, reason);
    }
  }),
);

test("devices by their names in CDI specs bring nodes, mounts, variables, groups and hooks", { skip }, () =>
  withBusybox(async (box) => {
    const [first, second] = [join(box.dir, "cdi1"), join(box.dir, "cdi2")];
    mkdirSync(first);
    mkdirSync(second);
    const env = { GANTRY_CDI_DIRS: `${first}:${second}` };
    const library = join(box.dir, "library");
    writeFileSync(library, "a library\n");
    const hooked = join(box.dir, "hooked");
    writeFileSync(
      join(first, "acme.json"),
      JSON.stringify({
        cdiVersion: "0.6.0",
        kind: "acme.com/unit",
        devices: [
          { name: "0", containerEdits: { deviceNodes: [{ path: "/dev/unit0", hostPath: "/dev/zero" }] } },
          {
            name: "1",
            containerEdits: {
              deviceNodes: [
                {
                  path: "/dev/unit1",
                  type: "c",
                  major: 1,
                  minor: 3,
                  fileMode: 0o640,
                  gid: 7,
                  permissions: "r",
                },
              ],
              env: ["UNIT=one"],
            },
          },
        ],
        containerEdits: {
          env: ["ACME=all"],
          mounts: [{ hostPath: library, containerPath: "/usr/lib/acme", options: ["ro", "nosuid"] }],
          additionalGids: [4242],
          hooks: [{ hookName: "createRuntime", path: "/bin/sh", args: ["sh", "-c", `cat > ${hooked}`] }],
        },
      }),
    );
    writeFileSync(
      join(first, "gpu.yaml"),
      "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env: [GPU=all]\n- name: '0'\n  containerEdits:\n    env:\n    - GPU=zero\n",
    );
    writeFileSync(join(first, "broken.json"), "{");
    const run = async (options: readonly string[], script: string) =>
      await box.must(["run", "--rm", ...options, "busybox", "sh", "-c", script], { env });
    const script =
      "echo $ACME $UNIT; ls /dev/unit*; cat /usr/lib/acme; id -G; head -c 1 /dev/unit0 | wc -c; ls -l /dev/unit1";
    const both = await run(["--device", "acme.com/unit=0", "--device", "acme.com/unit=1"], script);
    assert.match(
      both,
      /^all one\n\/dev\/unit0\n\/dev\/unit1\na library\n0 .*\b4242\b.*\n1\ncrw-r----- +1 root +7 +1, +3 .*\/dev\/unit1$/,
    );
    assert.equal(JSON.parse(readFileSync(hooked, "utf8")).status, "creating", "the hook has its state");
    assert.equal(await run(["--gpus", "all"], "echo $GPU"), "all");
    assert.equal(await run(["--gpus", "device=0"], "echo $GPU"), "zero");
    assert.equal(await run(["--gpus", "1"], "echo $GPU"), "zero");
    writeFileSync(
      join(second, "gpu.yaml"),
      "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env: [GPU=second]\n",
    );
    assert.equal(await run(["--gpus", "all"], "echo $GPU"), "second", "the later folder counts");
    writeFileSync(
      join(second, "twice.yaml"),
      "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits: {}\n",
    );
    const twice = await box.gantry(["run", "--rm", "--device", "nvidia.com/gpu=all", "busybox", "true"], {
      env,
    });
    assert.match(twice.stderr, /CDI device injection failed: unresolvable CDI devices nvidia\.com\/gpu=all/);
    const none = await box.gantry(["run", "--rm", "--device", "acme.com/unit=9", "busybox", "true"], { env });
    assert.equal(none.code, 125);
    assert.match(none.stderr, /unresolvable CDI devices acme\.com\/unit=9/);
  }),
);

test("devices of CDI specs are looked up at each start, and limits stay", { skip }, () =>
  withBusybox(async (box) => {
    const specs = join(box.dir, "cdi");
    mkdirSync(specs);
    const env = { GANTRY_CDI_DIRS: specs };
    const describe = (version: string) =>
      writeFileSync(
        join(specs, "acme.json"),
        JSON.stringify({
          cdiVersion: "0.6.0",
          kind: "acme.com/unit",
          devices: [
            {
              name: "0",
              containerEdits: {
                deviceNodes: [{ path: `/dev/unit-${version}`, hostPath: "/dev/zero" }],
                env: [`UNIT=${version}`],
              },
            },
          ],
        }),
      );
    // nobody looks before it starts
    await box.must(["create", "--name", "box", "--device", "acme.com/unit=0", "busybox", "sleep", "1000"], {
      env,
    });
    const early = await box.gantry(["start", "box"], { env });
    assert.deepEqual(
      [early.code, early.stderr],
      [1, "gantry: CDI device injection failed: unresolvable CDI devices acme.com/unit=0\n"],
    );
    describe("one");
    await box.must(["start", "box"], { env });
    const look = "echo $UNIT; ls /dev/unit*; head -c 1 /dev/unit* | wc -c";
    assert.equal(await box.must(["exec", "box", "sh", "-c", look]), "one\n/dev/unit-one\n1");
    await box.must(["update", "--pids-limit", "33", "box"]);
    describe("two");
    assert.match(await box.must(["exec", "box", "sh", "-c", look]), /^one/, "what runs stays as it is");
    await box.must(["restart", "-t", "0", "box"], { env });
    assert.equal(await box.must(["exec", "box", "sh", "-c", look]), "two\n/dev/unit-two\n1");
    assert.equal(await box.must(["inspect", "-f", "{{.HostConfig.PidsLimit}}", "box"]), "33");
    assert.match(await box.must(["exec", "box", "cat", "/proc/self/cgroup"]), /pids/);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "box"]);
    const config = JSON.parse(readFileSync(join(box.root, "containers", id, "config.json"), "utf8"));
    assert.equal(config.linux.resources.pids.limit, 33);
    await box.must(["rm", "-f", "box"]);
  }),
);

test("names: hosts, DNS, annotations and ports", { skip }, () =>
  withBusybox(async (box) => {
    const hosts = await sh(
      box,
      ["--add-host", "one:10.0.0.1", "--add-host", "six=[fe80::1]"],
      "cat /etc/hosts",
    );
    assert.match(hosts, /^10\.0\.0\.1\tone\nfe80::1\tsix$/m);
    const dns = ["--dns", "9.9.9.9", "--dns", "::1", "--dns-search", "a.example", "--dns-option", "ndots:2"];
    assert.equal(
      await sh(box, dns, "cat /etc/resolv.conf"),
      "nameserver 9.9.9.9\nnameserver ::1\nsearch a.example\noptions ndots:2",
    );
    assert.doesNotMatch(await sh(box, ["--dns-search", "."], "cat /etc/resolv.conf"), /^search/m);
    const flags = [
      "--annotation",
      "a.b/c=d",
      "--expose",
      "80",
      "--expose",
      "53-54/udp",
      "--domainname",
      "example",
    ];
    await box.must(["create", "--name", "one", ...flags, "busybox"]);
    assert.equal(
      await box.must([
        "inspect",
        "-f",
        "{{json .HostConfig.Annotations}} {{json .Config.ExposedPorts}}",
        "one",
      ]),
      '{"a.b/c":"d"} {"80/tcp":{},"53/udp":{},"54/udp":{}}',
    );
    await box.must(["rm", "one"]);
    const refusals: readonly (readonly [readonly string[], RegExp])[] = [
      [["--add-host", "x"], /bad format for add-host: "x"/],
      [["--add-host", "x:nowhere"], /invalid IP address in add-host: "nowhere"/],
      [["--add-host", "x:host-gateway"], /host-gateway is not available yet/],
      [["--dns", "x"], /IP address is not correctly formatted: x/],
      [["--dns-search", "-"], /- is not a valid domain/],
      [["--expose", "x"], /invalid range format for --expose: x/],
      [["--sysctl", "x"], /must be NAME=VALUE/],
    ];
    for (const [options, reason] of refusals) {
      const { code, stderr } = await box.gantry(["run", "--rm", ...options, "busybox", "true"]);
      assert.equal(code, 125, options.join(" "));
      assert.match(stderr, reason);
    }
  }),
);

test("namespaces: those of the host, and what goes with each", { skip }, () =>
  withBusybox(async (box) => {
    const own = (kind: string) => readlinkSync(`/proc/self/ns/${kind}`);
    for (const [option, kind] of [
      ["--pid=host", "pid"],
      ["--ipc=host", "ipc"],
      ["--uts=host", "uts"],
      ["--network=host", "net"],
      ["--cgroupns=host", "cgroup"],
      ["--userns=host", "user"],
    ] as const)
      assert.equal(await sh(box, [option], `readlink /proc/self/ns/${kind}`), own(kind), option);
    for (const [option, kind] of [
      ["--pid=private", "pid"],
      ["--ipc=private", "ipc"],
      ["--ipc=shareable", "ipc"],
      ["--uts=private", "uts"],
      ["--cgroupns=private", "cgroup"],
    ] as const)
      assert.notEqual(await sh(box, [option], `readlink /proc/self/ns/${kind}`), own(kind), option);
    assert.equal(await sh(box, ["--ipc=none"], "grep -c /dev/shm /proc/mounts || true"), "0");
    assert.equal(await sh(box, ["--ipc=shareable"], "grep -c /dev/shm /proc/mounts"), "1");
    assert.equal(await sh(box, ["--group-add", "1234", "--group-add", "user"], "id -G"), "0 1000 1234");
    assert.equal(
      await sh(box, ["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward"),
      "1",
    );
  }),
);

test("a cgroup parent of one's own", { skip }, () =>
  withBusybox(async (box) => {
    const parent = `gantry-life-${process.pid}`;
    const id = await box.must([
      "run",
      "-d",
      "--name",
      "one",
      "--cgroup-parent",
      parent,
      "busybox",
      "sleep",
      "1000",
    ]);
    const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", "one"]);
    const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
    try {
      assert.ok(
        lines.every((line) => line.endsWith(`/${parent}/${id}`)),
        lines.join("\n"),
      );
    } finally {
      await box.must(["rm", "-f", "one"]);
      // the parent stays, as docker's does
      for (const line of lines) {
        const controllers = (line.split(":")[1] ?? "").replace("name=", "");
        for (const folder of [controllers, "unified", ""])
          try {
            rmdirSync(join("/sys/fs/cgroup", folder, parent));
          } catch {
            // not in this one
          }
      }
    }
  }),
);
