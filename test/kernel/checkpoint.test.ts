/** checkpoint and restore through criu: whole lives, failures, and who is killed in the middle. */
import assert from "node:assert/strict";
import test from "node:test";
import { both, counting, namespaces, script, skip, timeout, useMachine } from "./checkpoint-machine.ts";

useMachine();

for (const [dumper, restorer] of [
  ["runc", "runc"],
  ["gantry-oci", "gantry-oci"],
  ["runc", "gantry-oci"],
  ["gantry-oci", "runc"],
] as const)
  test(`a container that ${dumper} wrote goes on under ${restorer} where it was, with memory, files, mounts and limits`, {
    skip,
    timeout,
  }, async () => {
    const told = await script(`
      detached ${dumper} run
      until_true '[ -s vol/n ]'; counts; counts; n=$b
      ${dumper} checkpoint --image-path img --work-path work c || exit 97
      gone; cat img/descriptors.json | tr -d '0-9'; echo
      detached ${restorer} restore --image-path img --work-path work
      counts; [ $a -ge $n ] && echo on
      p=$(cat pid); cat /proc/$p/cgroup out
      cat /sys/fs/cgroup/pods/one/memory.max /sys/fs/cgroup/pods/one/pids.max /proc/$p/oom_score_adj
      grep -E 'CapEff|CapBnd|Seccomp:' /proc/$p/status | cut -f 2
      grep 'open files' /proc/$p/limits | tr -s ' ' | cut -d ' ' -f 4,5
      nsenter -t $p -m cat /dev/shm/kept /etc/single; nsenter -t $p -u hostname
      nsenter -t $p -m wc -c /proc/keys
      ended ${restorer}; gone`);
    assert.deepEqual(told, [
      "nothing",
      '["/dev/null","pipe:[]","pipe:[]"]',
      "on",
      "0::/pods/one",
      "begun",
      String(64 << 20),
      "50",
      "100",
      "0000000000000020",
      "0000000000000020",
      "2",
      "512 600",
      "kept",
      "one",
      "testbox",
      "0 /proc/keys",
      "nothing",
    ]);
  });

for (const runtime of both)
  test(`${runtime}: a dump builds on a pre-dump, and --leave-running lets the container go on`, {
    skip,
    timeout,
  }, async () => {
    const told = await script(`
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --pre-dump --image-path first c || exit 97
      counts; mkdir -p second
      ${runtime} checkpoint --parent-path ../first --leave-running --image-path second c || exit 96
      counts; ${runtime} list -q; readlink second/parent
      ended ${runtime}
      detached ${runtime} restore --image-path second
      counts; ended ${runtime}; gone`);
    assert.deepEqual(told, ["c", "../first", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: a checkpoint that fails says where criu's log is, and the container goes on`, {
    skip,
    timeout,
  }, async () => {
    // a terminal's other end, or a file of the host, is nothing that criu could make again
    const told = await script(`
      ${runtime} run --detach c < /dev/null > file 2>&1
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img --work-path work c 2> err; echo $?
      tr '\\n' ' ' < err | grep -c 'criu failed: type .*log file: .*work/dump.log'
      ${runtime === "gantry-oci" ? 'grep -c "Can\'t lookup mount.*path=/tmp/b/file" err' : "echo 1"}
      ${runtime} state c | grep status; counts; cat /sys/fs/cgroup/pods/one/cgroup.freeze
      ended ${runtime}; gone`);
    assert.deepEqual(told, ["1", "1", "1", '  "status": "running",', "0", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: a restore that fails leaves nothing`, { skip, timeout }, async () => {
    const told = await script(`
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img --work-path work c || exit 97
      mv img/mm-1.img elsewhere
      ( ${runtime} restore --detach --image-path img --work-path work c < /dev/null 2> err; echo $? ) | cat
      tr '\\n' ' ' < err | grep -c 'criu failed: type .*log file: .*work/restore.log'
      ${runtime === "runc" ? "rmdir /sys/fs/cgroup/pods/one 2>/dev/null; rm -rf /run/runc/c" : ""}
      gone
      mv elsewhere img/mm-1.img
      detached ${runtime} restore --image-path img --work-path work
      counts; ended ${runtime}; gone`);
    assert.deepEqual(told, ["1", "1", "nothing", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: a joined network stays the one outside, and hooks set up what is new`, {
    skip,
    timeout,
  }, async () => {
    const joined = namespaces.map(({ type }) => (type === "network" ? { type, path: "/run/net" } : { type }));
    const hook = (name: string) => [
      { path: "/bin/sh", args: ["sh", "-c", `grep -o '"pid": *[0-9]*' | tr -dc 0-9 > /tmp/b/${name}`] },
    ];
    const told = await script(
      `
      touch /run/net; unshare -n sh -c 'mount --bind /proc/self/ns/net /run/net'
      detached ${runtime} run
      until_true '[ -s vol/n ]'; before_hook=$(cat created)
      ${runtime} checkpoint --image-path img c || exit 97
      detached ${runtime} restore --image-path img
      counts; p=$(cat pid)
      [ "$(stat -L -c %i /run/net)" = "$(stat -L -c %i /proc/$p/ns/net)" ] && echo same
      [ "$(cat created)" = $p ] && [ $p != $before_hook ] && echo hook
      ended ${runtime}; umount /run/net; gone`,
      { linux: { namespaces: joined }, hooks: { createRuntime: hook("created") } },
    );
    assert.deepEqual(told, ["same", "hook", "nothing"]);
  });

for (const runtime of both)
  test(`${runtime}: in the foreground restore ends as the program does`, { skip, timeout }, async () => {
    const told = await script(
      `
      detached ${runtime} run
      until_true '[ -s vol/n ]'
      ${runtime} checkpoint --image-path img c || exit 97
      ( ${runtime} restore --image-path img c < /dev/null 2>&1; echo "exit $?" ) | cat > told &
      counts; ${runtime} kill c TERM
      until_true 'grep -q exit told'; cat told; gone`,
      {},
      `trap "echo caught; exit 7" TERM; ${counting}`,
    );
    assert.deepEqual(told, ["caught", "exit 7", "nothing"]);
  });

test("a user namespace, another cgroup and a paused container are no obstacle", {
  skip,
  timeout,
}, async () => {
  const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const told = await script(
    `
    chmod 777 vol; chown -R 100000:100000 rootfs; chmod 755 /tmp/b
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    echo 1 > /sys/fs/cgroup/pods/one/cgroup.freeze
    gantry-oci checkpoint --image-path img c || exit 97
    sed -i s,/pods/one,/pods/other, config.json
    detached gantry-oci restore --image-path img
    counts; p=$(cat pid); cat /proc/$p/cgroup; tr -s ' ' < /proc/$p/uid_map
    ended gantry-oci; gone; ls -d /sys/fs/cgroup/pods/other 2>/dev/null; true`,
    {
      linux: {
        namespaces: [...namespaces, { type: "user" }],
        uidMappings: ids,
        gidMappings: ids,
      },
      process: { oomScoreAdj: null, capabilities: null },
    },
  );
  assert.deepEqual(told, ["0::/pods/other", " 0 100000 65536", "nothing"]);
});

test("what kills the command or the executor in the middle leaves the container, or nothing", {
  skip,
  timeout,
}, async () => {
  const told = await script(`
    detached gantry-oci run
    until_true '[ -s vol/n ]'
    gantry-oci checkpoint --image-path img c & command=$!
    until_true '[ -s img/dump.log ]'
    kill -9 $(pidof gantry-executor) $command; wait $command
    until_true '[ -z "$(pidof criu)" ]'
    until_true '[ "$(cat /sys/fs/cgroup/pods/one/cgroup.freeze)" = 0 ]'
    counts; gantry-oci state c | grep status
    gantry-oci checkpoint --image-path img c || exit 97
    rm -f restore.log
    gantry-oci restore --detach --image-path img --work-path again c < /dev/null > out 2>&1 & command=$!
    until_true '[ -s again/restore.log ]'
    kill -9 $(pidof gantry-executor) $command; wait $command
    until_true '[ -z "$(pidof criu)" ]'
    gantry-oci delete --force c
    gone
    detached gantry-oci restore --image-path img
    counts; ended gantry-oci; gone`);
  assert.deepEqual(told, ['  "status": "running",', "nothing", "nothing"]);
});

for (const terminal of [false, true])
  for (const runtime of both)
    test(`${runtime}: conmon gets a restored container as its child, with ${terminal ? "its terminal" : "pipes"}`, {
      skip,
      timeout,
    }, async () => {
      const flag = terminal ? "--terminal" : "";
      const told = await script(
        `
        with_conmon() {
          rm -f pid exits/c; mkdir -p exits
          conmon --api-version 1 --cid c --cuuid c --name c --bundle /tmp/b --runtime $(command -v ${runtime}) \\
            --container-pidfile /tmp/b/pid --conmon-pidfile /tmp/b/conmon.pid --exit-dir /tmp/b/exits \\
            --socket-dir-path /tmp/b --persist-dir /tmp/b --log-path k8s-file:/tmp/b/log ${flag} "$@" > said 2>&1
          until_true '[ -s pid ] || [ -s exits/c ]'
          [ -s pid ] || { cat said *.log img/*.log | tail -40 >&2; exit 98; }
        }
        with_conmon; ${runtime} start c
        until_true '[ -s vol/n ]'
        ${runtime} checkpoint --image-path img c || exit 97
        until_true '[ -s exits/c ]'; cat exits/c; echo
        with_conmon --restore /tmp/b/img
        counts
        [ "$(cut -d ' ' -f 4 /proc/$(cat pid)/stat)" = "$(cat conmon.pid)" ] && echo child
        ${runtime} kill c TERM
        until_true '[ -s exits/c ]'; cat exits/c; echo
        tr -d '\\r' < log | cut -d ' ' -f 4 | grep -v -e time= -e '^$'
        ${runtime} delete c; gone`,
        { process: { terminal } },
        `trap "echo caught; exit 7" TERM; ${counting}`,
      );
      assert.deepEqual(told, ["137", "child", "7", "begun", "caught", "nothing"]);
    });
