/** checkpoint and restore of what criu brings back only when it is told to: locks, connections, sockets, cgroups. */
import assert from "node:assert/strict";
import test from "node:test";
import { skipped } from "../lib/needs.ts";
import { both, namespaces, script, skip, timeout, useMachine } from "./checkpoint-machine.ts";

useMachine();

/** A network of the machine's that containers join, with a loopback that is up. */
const joined = {
  linux: {
    namespaces: namespaces.map((one) => (one.type === "network" ? { ...one, path: "/run/net" } : one)),
  },
};
const makeNetwork = `
  touch /run/net; unshare -n sh -c '/usr/bin/ip link set lo up; mount --bind /proc/self/ns/net /run/net'`;

/** A checkpoint that has to fail, for the reason that criu's log says. */
const refused = (runtime: string, flags: string, reason: string) => `
  ${runtime} checkpoint --image-path img --work-path work ${flags} c 2> err; echo "refused $?"
  grep -q -e ${JSON.stringify(reason)} work/dump.log || { cat err work/dump.log >&2; exit 97; }
  counts`;

for (const runtime of both)
  test(`${runtime}: with --file-locks a lock of a file and one of a range are held again, without it nothing is dumped`, {
    skip,
    timeout,
  }, async () => {
    const told = await script(
      `
      detached ${runtime} run
      until_true '[ -s vol/n ]'; subject held vol
      ${refused(runtime, "", "Some file locks are hold by dumping tasks")}
      ${runtime} checkpoint --image-path img --work-path work --file-locks c || exit 97
      subject held vol
      detached ${runtime} restore --image-path img --work-path work --file-locks
      counts; subject held vol; cat out; ended ${runtime}; gone`,
      {},
      ["/bin/subject", "locks"],
    );
    assert.deepEqual(told, ["held held", "refused 1", "free free", "held held", "nothing"]);
  });

test("with --tcp-established a connection goes on in a joined network", { skip, timeout }, async () => {
  // runc asks for an empty network whatever it is told: criu locks a joined one once more then, and leaves it locked
  const told = await script(
    `
    ${makeNetwork}
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    ${refused("gantry-oci", "", "Connected TCP socket, consider using --tcp-established")}
    gantry-oci checkpoint --image-path img --work-path work --tcp-established c || exit 97
    detached gantry-oci restore --image-path img --work-path work --tcp-established
    counts; counts; cat out; ended gantry-oci
    nsenter --net=/run/net iptables-save | grep -c DROP; umount /run/net; gone`,
    joined,
    ["/bin/subject", "tcp"],
  );
  assert.deepEqual(told, ["refused 1", "0", "nothing"]);
});

test("a connection goes on in a network of the container's own", { skip, timeout }, async () => {
  // runc has such a network made anew and empty, so that its loopback is down
  const told = await script(
    `
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    gantry-oci checkpoint --image-path img --work-path work --tcp-established c || exit 97
    detached gantry-oci restore --image-path img --work-path work --tcp-established
    counts; counts; cat out; ended gantry-oci; gone`,
    {},
    ["/bin/subject", "tcp"],
  );
  assert.deepEqual(told, ["nothing"]);
});

test("--network-lock nftables needs no iptables, which is what holds the network still without it", {
  skip,
  timeout,
}, async () => {
  // runc 1.1 has no such flag; criu 3.17 takes no lock of nftables away at a restore: its name was that of the process
  const told = await script(
    `
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    mkdir bin; for name in criu ip tar gzip; do ln -s /usr/bin/$name bin; done
    dump() { PATH=$PWD/bin:/opt/gantry gantry-oci checkpoint --leave-running --image-path img --work-path work "$@" c; }
    dump --tcp-established 2> err; echo "refused $?"; grep -q iptables-restore work/dump.log && echo named; counts
    dump --tcp-established --network-lock nftables || exit 97
    counts; counts; cat out; ended gantry-oci; gone`,
    {},
    ["/bin/subject", "tcp"],
  );
  assert.deepEqual(told, ["refused 1", "named", "nothing"]);
});

test("with --tcp-close a connection is lost at the restore, and the program told so", {
  skip,
  timeout,
}, async () => {
  // runc 1.1 has no such flag
  const told = await script(
    `
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    gantry-oci checkpoint --image-path img --work-path work --tcp-established c || exit 97
    detached gantry-oci restore --image-path img --work-path work --tcp-close
    counts; until_true '[ -s out ]'; cat out; ended gantry-oci; gone`,
    {},
    ["/bin/subject", "tcp"],
  );
  assert.deepEqual(told, ["connection lost", "nothing"]);
});

test("with --tcp-skip-in-flight a connection that nobody has accepted is left out", {
  skip,
  timeout,
}, async () => {
  // runc 1.1 has no such flag
  const told = await script(
    `
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    ${refused("gantry-oci", "--tcp-established", "In-flight connections can be ignored with the --skip-in-flight")}
    gantry-oci checkpoint --image-path img --work-path work --tcp-established --tcp-skip-in-flight c || exit 97
    detached gantry-oci restore --image-path img --work-path work --tcp-established
    counts; cat out; ended gantry-oci; gone`,
    {},
    ["/bin/subject", "backlog"],
  );
  assert.deepEqual(told, ["refused 1", "nothing"]);
});

for (const runtime of both)
  test(`${runtime}: with --ext-unix-sk a socket is connected again to one outside`, {
    skip,
    timeout,
  }, async () => {
    const told = await script(
      `
      ${makeNetwork}
      ln -s /tmp/b/vol /vol # criu knows the other one by the path that it was bound to
      nsenter --net=/run/net subject receive /vol/socket got & receiver=$!
      until_true '[ -S vol/socket ]'
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${refused(runtime, "", "Consider using --ext-unix-sk option")}
      ${runtime} checkpoint --image-path img --work-path work --ext-unix-sk c || exit 97
      n=$(cat got)
      detached ${runtime} restore --image-path img --work-path work --ext-unix-sk
      until_true '[ "$(cat got)" -gt $n ]'; cat out
      ended ${runtime}; kill $receiver; wait $receiver; rm /vol; umount /run/net; gone`,
      joined,
      ["/bin/subject", "unix"],
    );
    assert.deepEqual(told, ["refused 1", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: a network that a hook set up is set up by it again`, { skip, timeout }, async () => {
    const hook = `p=$(grep -o '"pid": *[0-9]*' | tr -dc 0-9); i=/usr/bin/ip
      [ ! -e /sys/class/net/outside ] || $i link del outside || exit
      $i link add outside type veth peer name inside && $i link set inside netns $p &&
      nsenter -t $p -n $i addr add 10.9.9.2/24 dev inside`;
    const told = await script(
      `
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img --work-path work c || exit 97
      detached ${runtime} restore --image-path img --work-path work
      counts; nsenter -t $(cat pid) -n /usr/bin/ip -br addr show dev inside | grep -o 10.9.9.2/24
      ended ${runtime}; gone`,
      {
        hooks: {
          createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", hook], env: ["PATH=/usr/bin:/bin:/sbin"] }],
        },
      },
    );
    assert.deepEqual(told, ["10.9.9.2/24", "nothing"]);
  });

/** Words of criu's log about restoring cgroups in this mode; runc 1.1 restores softly whatever it is told. */
const restored = {
  ignore: "none",
  soft: "Preparing cgroups yard (cgroups restore mode 0x4)",
  full: "Preparing cgroups yard (cgroups restore mode 0x8)",
  // its cgroup was made before criu began: that nobody had it is seen to here
  strict: "Preparing cgroups yard (cgroups restore mode 0x8)",
} as const;

for (const runtime of both)
  for (const mode of ["ignore", "soft", "full", "strict"] as const)
    test(`${runtime}: --manage-cgroups-mode ${mode} comes to criu, and the limits are the config's`, {
      skip:
        skip ||
        (runtime === "runc" && mode === "ignore" && skipped("runc 1.1 does not know the cgroup mode ignore")),
      timeout,
    }, async () => {
      const told = await script(`
        detached ${runtime} run
        until_true '[ -s vol/n ]'
        ${runtime} checkpoint --image-path img --work-path work --manage-cgroups-mode ${mode} c || exit 97
        sed -i 's/"limit":67108864/"limit":33554432/' config.json
        detached ${runtime} restore --image-path img --work-path work --manage-cgroups-mode ${mode}
        counts; grep -o 'Preparing cgroups yard.*' work/restore.log || echo none
        cat /proc/$(cat pid)/cgroup /sys/fs/cgroup/pods/one/memory.max
        ended ${runtime}; gone`);
      const known = runtime === "runc" ? restored.soft : restored[mode];
      assert.deepEqual(told, [known, "0::/pods/one", String(32 << 20), "nothing"]);
    });

test("--manage-cgroups-mode strict refuses a cgroup that somebody has", { skip, timeout }, async () => {
  const told = await script(`
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    gantry-oci checkpoint --image-path img --work-path work c || exit 97
    mkdir /sys/fs/cgroup/pods/one
    gantry-oci restore --detach --image-path img --work-path work --manage-cgroups-mode strict c > err 2>&1
    echo "refused $?"; grep -o 'strict: the cgroup .*already' err; rmdir /sys/fs/cgroup/pods/one; gone`);
  assert.deepEqual(told, [
    "refused 1",
    "strict: the cgroup /sys/fs/cgroup/pods/one exists already",
    "nothing",
  ]);
});

for (const runtime of both)
  test(`${runtime}: a terminal of the machine's is refused, also with --shell-job`, {
    skip,
    timeout,
  }, async () => {
    // criu goes by the mount that it lies in, which is none of the container's
    const reason = "Can't lookup mount=.* path=/dev/pts/0";
    const told = await script(
      `
      subject terminal ${runtime} run --detach --pid-file pid c > /dev/null &
      until_true '[ -s vol/n ]'
      ${refused(runtime, "", reason)}
      ${refused(runtime, "--shell-job", reason)}
      ended ${runtime}; gone`,
    );
    assert.deepEqual(told, ["refused 1", "refused 1", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: --shell-job is no obstacle to a program that leads a session of its own`, {
    skip,
    timeout,
  }, async () => {
    const told = await script(`
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img --work-path work --shell-job c || exit 97
      detached ${runtime} restore --image-path img --work-path work --shell-job
      counts; cut -d ' ' -f 6 /proc/$(cat pid)/stat > session; [ "$(cat session)" = "$(cat pid)" ] && echo leads
      ended ${runtime}; gone`);
    assert.deepEqual(told, ["leads", "nothing"]);
  });
