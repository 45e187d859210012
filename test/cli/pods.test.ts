/** Pods: what their containers share, where they are counted, and that nothing of them stays. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { isOver } from "../shim/reading.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

function entries(path: string): readonly string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

/** Nothing of a pod on the disk and on the run-time side; the sandbox itself looks for mounts, processes and cgroups. */
function assertNoPods(box: Sandbox): void {
  for (const place of [join(box.root, "pods"), join(box.root, "pod-names"), join(box.state, "pods")])
    assert.deepEqual(entries(place), [], place);
}

const podField = (box: Sandbox, field: string, name = "web") =>
  box.must(["pod", "inspect", "-f", `{{${field}}}`, name]);

test(
  "containers of a pod share network, IPC with /dev/shm and host name, and have their own processes",
  {
    skip,
  },
  () =>
    withBusybox(async (box) => {
      const id = await box.must(["pod", "create", "--name", "web", "--shm-size", "8m"]);
      assert.match(id, /^[0-9a-f]{64}$/);
      const look = "for kind in net ipc uts; do readlink /proc/self/ns/$kind; done; hostname";
      const inPod = (script: string) =>
        box.must(["run", "--rm", "--pod", "web", "busybox", "sh", "-c", script]);
      const first = await inPod(`${look}; echo note > /dev/shm/note`);
      assert.equal(await inPod(look), first);
      assert.match(first, /\nweb$/, "the host name is the pod's");
      assert.equal(await inPod("cat /dev/shm/note"), "note");
      assert.match(await inPod("df -k /dev/shm | tail -1"), /\b8192\b/);
      assert.match(await inPod("cat /etc/hostname; ip link show lo"), /^web\n[\s\S]*LOOPBACK,UP/);
      const server = ["httpd", "-f", "-p", "80", "-h", "/etc"];
      await box.must(["run", "-d", "--name", "one", "--pod", "web", "busybox", ...server]);
      // a server of one container is the other's localhost
      await until("the server to listen", async () => {
        const get = ["busybox", "wget", "-qO-", "http://127.0.0.1/passwd"];
        const asked = await box.gantry(["run", "--rm", "--pod", id.slice(0, 10), ...get]);
        return asked.code === 0 && /^root:/.test(asked.stdout);
      });
      assert.doesNotMatch(await inPod("ps -o args"), /httpd/);
      await box.must(["pod", "rm", "-f", "-t", "0", "web"]);
      assertNoPods(box);
      assert.equal(await box.must(["ps", "-aq"]), "");
    }),
);

test("a pod has no process, and its namespaces are there without one", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["pod", "create", "--name", "web"]);
    await box.must(["pod", "start", "web"]);
    assert.equal(await podField(box, ".Sandbox.State"), "ready");
    assert.equal(await podField(box, ".Sandbox.PausePid"), "0");
    const net = await podField(box, ".NamespacePaths.network");
    const cgroup = await podField(box, ".CgroupPath");
    const processes = readdirSync("/sys/fs/cgroup", { withFileTypes: true })
      .map(({ name }) => join("/sys/fs/cgroup", name, cgroup, "cgroup.procs"))
      .filter(existsSync)
      .map((path) => readFileSync(path, "utf8"));
    assert.ok(processes.length > 0, "it has cgroups");
    assert.deepEqual(new Set(processes), new Set([""]), "with nobody in them");
    const joined = await command(["nsenter", `--net=${net}`, "ip", "-o", "link"]);
    assert.match(joined.stdout, /^1: lo: <LOOPBACK,UP/);
    await box.must(["pod", "rm", "web"]);
    assert.equal(existsSync(net), false);
    assertNoPods(box);
  }),
);

test(
  "a shared PID namespace is held by a pause process under 100 KB, which reaps orphans and holds nothing",
  {
    skip,
  },
  () =>
    withBusybox(async (box) => {
      await box.must(["pod", "create", "--name", "web", "--share", "net,ipc,uts,pid"]);
      await box.must(["run", "-d", "--name", "one", "--pod", "web", "busybox", "sleep", "600"]);
      const pause = Number(await podField(box, ".Sandbox.PausePid"));
      const status = readFileSync(`/proc/${pause}/status`, "utf8");
      const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
      assert.ok(kilobytes < 100, `${kilobytes} kB`);
      assert.match(status, /^NSpid:\t\d+\t1$/m);
      assert.match(status, /^Uid:\t65535\t65535\t65535\t65535$/m);
      assert.match(status, /^CapBnd:\t0{16}$/m);
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.deepEqual(readdirSync(`/proc/${pause}/fd`), [], "no descriptor");
      assert.deepEqual(readdirSync(`/proc/${pause}/root`), [], "an empty root");
      assert.notEqual(readlinkSync(`/proc/${pause}/ns/mnt`), readlinkSync("/proc/self/ns/mnt"));
      const inPod = (script: string) =>
        box.must(["run", "--rm", "--pod", "web", "busybox", "sh", "-c", script]);
      assert.match(await inPod("ps -o pid,args"), /\b1 gantry-pause [0-9a-f]{64}\n[\s\S]*sleep 600/);
      // orphans of a container become the pause process's children, and are gone when they end
      await inPod("(sleep 0.05 & (sleep 0.1 &) ) ; sleep 0.3; ps -o stat,args");
      await until("no zombie to be left", async () => !/^Z/m.test(await inPod("ps -o stat,args")));
      // signals from inside do not end it
      assert.match(await inPod("kill -TERM 1; kill -KILL 1; ps -o args"), /gantry-pause/);
      await box.must(["pod", "stop", "-t", "0", "web"]);
      assert.ok(isOver(pause));
      assert.equal(await box.must(["pod", "ps", "--format", "{{.Status}}"]), "Exited");
      // containers come up again with the pod
      await box.must(["pod", "start", "web"]);
      assert.equal(
        await box.must(["pod", "ps", "--format", "{{.Status}} {{.NumberOfContainers}}"]),
        "Running 1",
      );
      await box.must(["pod", "rm", "-f", "-t", "0", "web"]);
      assertNoPods(box);
    }),
);

test("the end of a pause process ends the pod, which is told and can be started again", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["pod", "create", "--name", "web", "--share", "pid"]);
    await box.must(["run", "-d", "--name", "one", "--pod", "web", "busybox", "sleep", "600"]);
    process.kill(Number(await podField(box, ".Sandbox.PausePid")), "SIGKILL");
    assert.equal(await box.must(["wait", "one"]), "137");
    await until("the pod to be stopped", async () => (await podField(box, ".Sandbox.State")) === "stopped");
    assert.equal(await podField(box, ".Sandbox.Error"), "its pause process has ended");
    await box.must(["start", "one"]);
    assert.equal(await podField(box, ".Sandbox.State"), "ready");
    await box.must(["pod", "rm", "-f", "-t", "0", "web"]);
  }),
);

test("limits of a pod hold for its containers together, whose cgroups are below its own", { skip }, () =>
  withBusybox(async (box) => {
    await box.must([
      ...["pod", "create", "--name", "web", "--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"],
      ...["--cgroup-parent", `/gantry-test-${process.pid}`],
    ]);
    await box.must(["run", "-d", "--name", "one", "--pod", "web", "-m", "32m", "busybox", "sleep", "600"]);
    const cgroup = await podField(box, ".CgroupPath");
    assert.match(cgroup, new RegExp(`^/gantry-test-${process.pid}/pod-[0-9a-f]{64}$`));
    const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", "one"]);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "one"]);
    assert.equal(await box.must(["inspect", "-f", "{{.HostConfig.CgroupParent}}", "one"]), cgroup);
    const places = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
    assert.ok(
      places.some((line) => line.endsWith(`:${cgroup}/${id}`)),
      places.join(" "),
    );
    const memory = (path: string) =>
      ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"]
        .flatMap((mount) => ["memory.limit_in_bytes", "memory.max"].map((file) => join(mount, path, file)))
        .filter(existsSync)
        .map((file) => Number(readFileSync(file, "utf8")));
    assert.deepEqual(memory(cgroup), [64 * 1024 * 1024]);
    assert.deepEqual(memory(`${cgroup}/${id}`), [32 * 1024 * 1024]);
    await box.must(["pod", "rm", "-f", "-t", "0", "web"]);
    for (const name of readdirSync("/sys/fs/cgroup")) {
      const parent = join("/sys/fs/cgroup", name, `gantry-test-${process.pid}`);
      if (!existsSync(parent)) continue;
      assert.deepEqual(
        readdirSync(parent, { withFileTypes: true }).filter((one) => one.isDirectory()),
        [],
      );
      await command(["rmdir", parent]);
    }
  }),
);

test(
  "sysctls are those of the pod's namespaces, and what is the pod's is not set by a container",
  { skip },
  () =>
    withBusybox(async (box) => {
      await box.must([
        ...["pod", "create", "--name", "web", "--hostname", "host-of-web"],
        ...["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=4242"],
      ]);
      const inPod = ["run", "--rm", "--pod", "web", "busybox"];
      const read =
        "/proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start";
      assert.equal(await box.must([...inPod, "cat", ...read.split(" ")]), "1\n4242\n0");
      assert.equal(await box.must([...inPod, "sh", "-c", "echo $HOSTNAME"]), "host-of-web");
      for (const [options, words] of [
        [["--network", "host"], 'cannot set the network of a container in pod "web": it is that of the pod'],
        [["--hostname", "x"], 'cannot set the hostname of a container in pod "web": it is that of the pod'],
        [
          ["--sysctl", "net.core.somaxconn=5"],
          "conflicting options: sysctl net.core.somaxconn and the network mode",
        ],
      ] as const) {
        const refused = await box.gantry(["run", "--rm", "--pod", "web", ...options, "busybox", "true"]);
        assert.equal(refused.code, 125);
        assert.equal(refused.stderr.split("\n")[0], `gantry: ${words}`);
      }
      // each may have a namespace of its own instead
      const own = await box.must([
        "run",
        "--rm",
        "--pod",
        "web",
        "--uts",
        "private",
        "-h",
        "x",
        "busybox",
        "hostname",
      ]);
      assert.equal(own, "x");
      const bad = await box.gantry(["pod", "create", "--sysctl", "kernel.panic=1"]);
      assert.equal(bad.code, 1);
      assert.match(bad.stderr, /sysctl "kernel\.panic" is not in a separate kernel namespace/);
      await box.must(["pod", "rm", "-a"]);
      assertNoPods(box);
    }),
);

test("a pod of the host's network has it, and pods that share nothing are only a cgroup", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["pod", "create", "--name", "hosted", "--network", "host", "--share", "ipc,uts"]);
    const seen = await box.must([
      "run",
      "--rm",
      "--pod",
      "hosted",
      "busybox",
      "readlink",
      "/proc/self/ns/net",
    ]);
    assert.equal(seen, readlinkSync("/proc/self/ns/net"));
    await box.must(["pod", "create", "--name", "loose", "--share", "none"]);
    const namespaces: string[] = [];
    for (const name of ["one", "two"]) {
      await box.must(["run", "-d", "--name", name, "--pod", "loose", "busybox", "sleep", "600"]);
      const pid = await box.must(["inspect", "-f", "{{.State.Pid}}", name]);
      namespaces.push(readlinkSync(`/proc/${pid}/ns/ipc`));
    }
    assert.notEqual(namespaces[0], namespaces[1]);
    await box.must(["pod", "rm", "-f", "-t", "0", "hosted", "loose"]);
    assertNoPods(box);
  }),
);

test("pod ps, inspect and exists tell the state in podman's words", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["pod", "create", "--name", "web", "--label", "a=b"]);
    const table = (await box.must(["pod", "ps"])).split("\n");
    assert.match(table[0]!, /^POD ID +NAME +STATUS +CREATED +INFRA ID +# OF CONTAINERS$/);
    assert.match(
      table[1]!,
      new RegExp(`^${id.slice(0, 12)}   web +Created +(Less than a|\\d+) seconds? ago +0$`),
    );
    assert.equal(await box.must(["pod", "ls", "-q", "--no-trunc"]), id);
    await box.must(["run", "-d", "--name", "one", "--pod", "web", "busybox", "sleep", "600"]);
    await box.must(["run", "--name", "two", "--pod", "web", "busybox", "true"]);
    const status = () => box.must(["pod", "ps", "--format", "{{.Name}} {{.Status}} {{.ContainerNames}}"]);
    assert.equal(await status(), "web Degraded one,two");
    const [described] = JSON.parse(await box.must(["pod", "ps", "--format", "json"])) as [
      Record<string, unknown>,
    ];
    assert.deepEqual(described.Labels, { a: "b" });
    const inspected = JSON.parse(await box.must(["pod", "inspect", "web"])) as Record<string, unknown>;
    assert.equal(inspected.Id, id);
    assert.equal(inspected.State, "Degraded");
    assert.deepEqual(inspected.SharedNamespaces, ["ipc", "net", "uts"]);
    assert.equal(inspected.NumContainers, 2);
    assert.equal(
      await box.must(["pod", "ps", "-q", "--filter", "ctr-names=one", "--filter", "label=a=b"]),
      id.slice(0, 12),
    );
    assert.equal(await box.must(["pod", "ps", "-q", "--filter", "status=running"]), "");
    const busy = await box.gantry(["pod", "rm", "web"]);
    assert.equal(busy.code, 1);
    assert.match(
      busy.stderr,
      /^gantry: cannot remove pod "web": its containers one run: stop the pod before/,
    );
    assert.equal(await box.must(["pod", "stop", "-t", "0", "web"]), id);
    assert.equal(await status(), "web Exited one,two");
    assert.equal(await box.must(["pod", "prune", "-f"]), id);
    assert.equal((await box.gantry(["pod", "exists", "web"])).code, 1);
    assert.equal(await box.must(["ps", "-aq"]), "", "its containers went with it");
    for (const verb of ["inspect", "start", "stop", "rm", "kill"]) {
      const missing = await box.gantry(["pod", verb, "nosuch"]);
      assert.equal(missing.code, 1);
      assert.equal(missing.stderr, "gantry: no pod with name or ID nosuch found: no such pod\n");
    }
    assert.equal((await box.gantry(["pod", "rm", "-i", "nosuch"])).code, 0);
    await box.must(["pod", "create", "web"]);
    const taken = await box.gantry(["pod", "create", "--name", "web"]);
    assert.equal(taken.stderr, 'gantry: adding pod to state: name "web" is in use: pod already exists\n');
    const other = await box.must(["pod", "create", "--replace", "--name", "web"]);
    assert.equal(await box.must(["pod", "ps", "-q", "--no-trunc"]), other);
    await box.must(["pod", "rm", "-a"]);
    assertNoPods(box);
  }),
);

test("pause and unpause reach every container, and restart gives the pod new namespaces", { skip }, () =>
  withBusybox(async (box) => {
    const id = await box.must(["pod", "create", "--name", "web"]);
    for (const name of ["one", "two"])
      await box.must(["run", "-d", "--name", name, "--pod", "web", "busybox", "sleep", "600"]);
    assert.equal(await box.must(["pod", "pause", "web"]), id);
    assert.equal(
      await box.must(["pod", "ps", "--format", "{{.Status}} {{.ContainerStatuses}}"]),
      "Paused paused,paused",
    );
    assert.equal(await box.must(["pod", "unpause", "-a"]), id);
    assert.equal(await box.must(["pod", "ps", "--format", "{{.Status}}"]), "Running");
    const started = await podField(box, ".Sandbox.StartedAt");
    await box.must(["kill", "-s", "KILL", "one"]);
    assert.equal(await box.must(["pod", "restart", "web"]), id);
    assert.notEqual(await podField(box, ".Sandbox.StartedAt"), started);
    assert.equal(
      await box.must(["pod", "ps", "--format", "{{.Status}} {{.NumberOfContainers}}"]),
      "Running 2",
    );
    await box.must(["pod", "rm", "-f", "-t", "0", "web"]);
  }),
);

test("podman says the same of the same mistakes", { skip: skip || needs("podman") }, () =>
  withBusybox(async (box) => {
    const podman = (args: readonly string[]) =>
      command(
        [
          ...["podman", "--root", join(box.dir, "p"), "--runroot", join(box.dir, "r")],
          ...[
            "--tmpdir",
            join(box.dir, "t"),
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "file",
            ...args,
          ],
        ],
        { env: box.env },
      );
    for (const args of [
      ["pod", "rm", "nosuch"],
      ["pod", "stop", "nosuch"],
      ["pod", "exists", "nosuch"],
      ["pod", "create", "--name", "a/b"],
    ]) {
      const [theirs, ours] = [await podman(args), await box.gantry(args)];
      assert.equal(
        ours.stderr.replace(/^gantry: /, ""),
        theirs.stderr.replace(/^Error: /, ""),
        args.join(" "),
      );
      assert.equal(ours.code === 0, theirs.code === 0, args.join(" "));
    }
    await command(["umount", "-l", join(box.dir, "p/overlay")]);
  }),
);

test("events tell the life of a pod", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["pod", "create", "--name", "web", "--label", "team=a"]);
    await box.must(["pod", "start", "web"]);
    await box.must(["pod", "stop", "web"]);
    await box.must(["pod", "rm", "web"]);
    const told = await box.must([
      ...["events", "--since", "1h", "--until", "0s", "--filter", "type=pod"],
      ...["--format", "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.team}}"],
    ]);
    assert.equal(told, ["create", "start", "stop", "destroy"].map((action) => `${action} web a`).join("\n"));
  }),
);

test("pod top, stats and logs show all containers of the pod, and those of no other", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["pod", "create", "--name", "web"]);
    await box.must(["pod", "create", "--name", "other"]);
    const speak = (name: string, pod: string) => {
      const script = `i=0; while [ $i -lt 3 ]; do echo ${name}$i; i=$((i+1)); sleep 0.05; done; sleep 1${name.length}00`;
      return box.must(["run", "-d", "--name", name, "--pod", pod, "busybox", "sh", "-c", script]);
    };
    const one = await speak("one", "web");
    await speak("two2", "web");
    await speak("three", "other");
    await until("all to have spoken", async () => {
      const said = await Promise.all(["one", "two2", "three"].map((name) => box.must(["logs", name])));
      return said.every((text) => text.split("\n").length === 3);
    });
    const processes = await box.must(["pod", "top", "web", "-o", "pid,args"]);
    assert.match(processes, /^PID +COMMAND\n/);
    assert.deepEqual(processes.match(/sleep 1[0-9]00/g)?.sort(), ["sleep 1300", "sleep 1400"]);
    assert.match(await box.must(["pod", "top", "web"]), /^UID +PID +PPID/);

    const lines = (await box.must(["pod", "logs", "--names", "web"])).split("\n");
    assert.deepEqual([...lines].sort(), [0, 1, 2].flatMap((i) => [`one one${i}`, `two2 two2${i}`]).sort());
    // by time, whoever spoke
    const times = (await box.must(["pod", "logs", "-t", "web"]))
      .split("\n")
      .map((line) => line.split(" ")[1]!);
    assert.deepEqual([...times].sort(), times);
    const last = await box.must(["pod", "logs", "--tail", "1", "-c", "one", "web"]);
    assert.equal(last, `${one.slice(0, 12)} one2`);
    const stranger = await box.gantry(["pod", "logs", "-c", "three", "web"]);
    assert.deepEqual(
      [stranger.code, /^gantry: container three is not in pod /.test(stranger.stderr)],
      [1, true],
    );

    const stats = await box.must(["pod", "stats", "--no-stream", "web"]);
    assert.match(stats, /^POD +CID +NAME +CPU % +MEM USAGE\/ LIMIT +MEM % +NET IO +BLOCK IO +PIDS\n/);
    const names = async (...args: readonly string[]) =>
      (await box.must(["pod", "stats", "--no-stream", "--format", "{{.Name}} {{.PIDS}}", ...args]))
        .split("\n")
        .sort();
    assert.deepEqual(await names("web"), ["one 1", "two2 1"]);
    assert.deepEqual(await names(), ["one 1", "three 1", "two2 1"]);

    const follower = box.spawn(["pod", "logs", "-f", "--names", "web"]);
    let followed = "";
    follower.stdout!.on("data", (piece) => {
      followed += piece;
    });
    const ended = new Promise((resolve) => follower.once("exit", resolve));
    await until("the past to be shown", async () => followed.split("\n").length === 7);
    await box.must(["pod", "kill", "web"]);
    assert.equal(await ended, 0, "it ends with the last container");
    const over = await box.gantry(["pod", "top", "web"]);
    assert.deepEqual(
      [over.code, /^gantry: no container of pod [0-9a-f]{64} is running\n$/.test(over.stderr)],
      [1, true],
    );
    assert.equal(await box.must(["pod", "stats", "--no-stream", "--format", "{{.Name}}", "web"]), "");
    await box.must(["pod", "restart", "web"]);
    assert.equal(await podField(box, ".State"), "Running");
    assert.equal((await box.must(["pod", "top", "web", "-o", "pid,args"])).split("\n").length >= 3, true);
    await box.must(["pod", "rm", "-f", "-t", "0", "-a"]);
    assertNoPods(box);
  }),
);
