/** Namespaces of another container: the same as the kernel counts, proven against the process that has them now. */
import assert from "node:assert/strict";
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

/** The namespace of a running container, as the host sees it. */
async function namespaceOf(box: Sandbox, name: string, kind: string): Promise<string> {
  const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", name]);
  return readlinkSync(`/proc/${pid}/ns/${kind}`);
}

async function donor(box: Sandbox, ...options: readonly string[]): Promise<void> {
  await box.must(["run", "-d", "--name", "donor", ...options, "busybox", "sleep", "600"]);
}

const end = async (box: Sandbox, ...names: readonly string[]) => await box.must(["rm", "-f", ...names]);

for (const [option, kind] of [
  ["--pid", "pid"],
  ["--network", "net"],
  ["--uts", "uts"],
  ["--ipc", "ipc"],
] as const)
  test(`${option} container:NAME is the namespace of that container`, { skip }, () =>
    withBusybox(async (box) => {
      await donor(box, "--ipc", "shareable", "--hostname", "giver");
      const look = ["busybox", "readlink", `/proc/self/ns/${kind}`];
      const seen = await box.must(["run", "--rm", option, "container:donor", ...look]);
      assert.equal(seen, await namespaceOf(box, "donor", kind));
      const apart = await box.must(["run", "--rm", ...look]);
      assert.notEqual(apart, seen, "without the option it has its own");
      await end(box, "donor");
    }),
  );

test("who shares a pid namespace sees the other's processes and ends with it", { skip }, () =>
  withBusybox(async (box) => {
    await donor(box);
    const seen = await box.must(["run", "--rm", "--pid", "container:donor", "busybox", "ps", "-o", "args"]);
    assert.match(seen, /^sleep 600$/m);
    await box.must(["run", "-d", "--name", "guest", "--pid=container:donor", "busybox", "sleep", "500"]);
    await box.must(["kill", "donor"]);
    assert.equal(await box.must(["wait", "guest"]), "137", "the kernel ends what is in the namespace");
    await end(box, "donor", "guest");
  }),
);

test(
  "a shareable IPC namespace comes with its /dev/shm, a private one is refused in docker's words",
  {
    skip,
  },
  () =>
    withBusybox(async (box) => {
      await donor(box, "--ipc", "shareable", "--shm-size", "8m");
      const share = ["run", "--rm", "--ipc", "container:donor", "busybox", "sh", "-c"];
      await box.must([...share, "echo left > /dev/shm/note"]);
      assert.equal(await box.must([...share, "cat /dev/shm/note"]), "left");
      assert.match(await box.must([...share, "df -k /dev/shm | tail -1"]), /\b8192\b/);
      const mounts = await box.must([...share, "grep /dev/shm /proc/self/mountinfo"]);
      assert.match(mounts, /nosuid,nodev,noexec/);
      await box.must(["run", "-d", "--name", "shy", "busybox", "sleep", "60"]);
      const id = await box.must(["inspect", "-f", "{{.Id}}", "shy"]);
      const refused = await box.gantry(["run", "--rm", "--ipc", "container:shy", "busybox", "true"]);
      assert.equal(refused.code, 125);
      assert.equal(
        refused.stderr.split("\n")[0],
        `gantry: container ${id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
      );
      const none = await box.gantry(["run", "--rm", "--ipc", "none", "busybox", "ls", "/dev/shm"]);
      assert.match(none.stderr, /No such file or directory/);
      await end(box, "donor", "shy");
    }),
);

test("a link in the place of the donor's /dev/shm lends nothing of the host", { skip }, () =>
  withBusybox(async (box) => {
    await donor(box, "--ipc", "shareable", "--privileged");
    const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", "donor"]);
    // what a container may do to itself: its /dev/shm becomes a link to a place that the host has as well
    const script = "umount /dev/shm && rmdir /dev/shm && ln -s /etc /dev/shm";
    await box.must([
      ...["run", "--rm", "--privileged", "--pid", "container:donor", "busybox", "sh", "-c"],
      `nsenter -t 1 -m sh -c '${script}'`,
    ]);
    assert.equal(readlinkSync(`/proc/${pid}/root/dev/shm`), "/etc");
    const refused = await box.gantry(["run", "--rm", "--ipc", "container:donor", "busybox", "true"]);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /\/dev\/shm of the other container/);
    await end(box, "donor");
  }),
);

test("who shares a network has its host name, and may not set another", { skip }, () =>
  withBusybox(async (box) => {
    await donor(box, "--hostname", "giver");
    const share = ["run", "--rm", "--network", "container:donor"];
    assert.equal(await box.must([...share, "busybox", "hostname"]), "giver");
    assert.equal(await box.must([...share, "busybox", "cat", "/etc/hostname"]), "giver");
    for (const [options, words] of [
      [["--hostname", "x"], "conflicting options: hostname and the network mode"],
      [
        ["--sysctl", "net.ipv4.ip_forward=1"],
        "conflicting options: sysctl net.ipv4.ip_forward and the network mode",
      ],
    ] as const) {
      const refused = await box.gantry([...share, ...options, "busybox", "true"]);
      assert.equal(refused.code, 125);
      assert.equal(refused.stderr.split("\n")[0], `gantry: ${words}`);
    }
    const uts = await box.gantry(["run", "--rm", "--uts=container:donor", "-h", "x", "busybox", "true"]);
    assert.equal(uts.stderr.split("\n")[0], "gantry: conflicting options: hostname and the UTS mode");
    assert.equal(await box.must(["run", "--rm", "--uts=container:donor", "busybox", "hostname"]), "giver");
    await end(box, "donor");
  }),
);

test(
  "a donor that is not there or does not run is told, and a new start takes its new process",
  { skip },
  () =>
    withBusybox(async (box) => {
      const missing = await box.gantry(["run", "--rm", "--network", "container:nosuch", "busybox", "true"]);
      assert.equal(missing.code, 125);
      assert.match(
        missing.stderr,
        /^gantry: joining network namespace of container: No such container: nosuch\n/,
      );
      await donor(box);
      await box.must([
        ...["create", "--name", "guest", "--network", "container:donor"],
        ...["busybox", "readlink", "/proc/self/ns/net"],
      ]);
      assert.equal(await box.must(["start", "-a", "guest"]), await namespaceOf(box, "donor", "net"));
      await box.must(["stop", "-t", "0", "donor"]);
      const stopped = await box.gantry(["start", "-a", "guest"]);
      assert.equal(stopped.code, 1);
      assert.match(stopped.stderr, /cannot join network namespace of a non running container: donor\n/);
      await box.must(["start", "donor"]);
      assert.equal(await box.must(["start", "-a", "guest"]), await namespaceOf(box, "donor", "net"));
      assert.match(
        await box.must(["inspect", "-f", "{{.HostConfig.NetworkMode}}", "guest"]),
        /^container:[0-9a-f]{64}$/,
      );
      await end(box, "donor", "guest");
    }),
);

test("a number that another process has by now is not joined", { skip }, () =>
  withBusybox(async (box) => {
    await donor(box);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "donor"]);
    const path = join(box.state, "containers", id, "start.json");
    const before = readFileSync(path, "utf8");
    const record = JSON.parse(before) as { pidStart: number };
    // as it would be if the number of its first process had gone to somebody else
    writeFileSync(path, JSON.stringify({ ...record, pidStart: record.pidStart - 1 }));
    const refused = await box.gantry(["run", "--rm", "--network", "container:donor", "busybox", "true"]);
    writeFileSync(path, before);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /unable to join a container that has ended: .*no such process/);
    await end(box, "donor");
  }),
);

test("explain shows how another container's namespaces are reached", { skip }, () =>
  withBusybox(async (box) => {
    await donor(box, "--ipc", "shareable");
    const shares = ["--pid=container:donor", "--ipc=container:donor"];
    const plan = await box.must(["explain", "run", ...shares, "busybox", "true"]);
    const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", "donor"]);
    assert.match(plan, new RegExp(`open-process .*pid=${pid} start=\\d+`));
    assert.match(plan, /open-process-namespace .*kind=ipc/);
    assert.match(plan, /take-tree .*path=\/dev\/shm/);
    await end(box, "donor");
  }),
);
