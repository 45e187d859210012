/** checkpoint and restore of memory by ways other than one file: page servers, on demand, in parts. */
import assert from "node:assert/strict";
import test from "node:test";
import { both, type Runtime, script, skip, timeout, useMachine } from "./checkpoint-machine.ts";

useMachine();

/** $1 is a directory of images. */
const pageWords = `
  kb() { du -k $1/pages-*.img | cut -f 1; }
  begin() { # a server of criu in the background, once its log $1 says $2
    log=$1 phrase=$2; shift 2; rm -f $log
    criu "$@" -v4 & server=$!; until_true "grep -q '$phrase' $log 2> /dev/null"
  }`;

/** What a script tells, either runtime's, when it has started a program that holds memory. */
function tells(what: string, told: readonly string[], text: (runtime: Runtime) => string): void {
  for (const runtime of both)
    test(`${runtime}: ${what}`, { skip, timeout }, async () => {
      const begun = `${pageWords}\ndetached ${runtime} run\nuntil_true '[ -s vol/n ]'\n`;
      assert.deepEqual(await script(begun + text(runtime), {}, ["/bin/subject", "memory"]), told);
    });
}

tells(
  "a checkpoint leaves the pages with the page server that it is told of",
  ["there", "nothing"],
  (runtime) => `
    mkdir pages; begin pages/log 'Starting page server on port 1234' \\
      page-server --images-dir pages --address 127.0.0.1 --port 1234 --log-file log
    ${runtime} checkpoint --image-path img --work-path work --page-server 127.0.0.1:1234 c || exit 97
    wait $server && ls img | grep pages- ; [ $(kb pages) -ge 16384 ] && echo there
    mv pages/*.img img
    detached ${runtime} restore --image-path img --work-path work
    counts; counts; cat out; ended ${runtime}; gone`,
);

tells(
  "with --lazy-pages a restored program gets its memory when it looks",
  ["asked", "nothing"],
  (runtime) => `
    ${runtime} checkpoint --image-path img --work-path work c || exit 97
    begin work/lazy.log 'Waiting for incoming connections' \\
      lazy-pages --images-dir img --work-dir work --log-file lazy.log
    detached ${runtime} restore --image-path img --work-path work --lazy-pages
    wait $server && counts && cat out
    grep -q 'uffd: .*#PF at' work/lazy.log && echo asked
    ended ${runtime}; gone`,
);

tells(
  "with --lazy-pages a checkpoint hands over the memory of a program that runs elsewhere already",
  ["later", "0", "d", "nothing"],
  (runtime) => `
    : > ready
    ${runtime} checkpoint --image-path img --work-path work --lazy-pages --page-server 127.0.0.1:1235 \\
      --status-fd 5 c 5> ready & source=$!
    until_true '[ $(wc -c < ready) = 1 ]'; until_true '[ $(kb img) -lt 8192 ] 2> /dev/null' && echo later
    mkdir there; begin there/lazy.log 'Waiting for incoming connections' \\
      lazy-pages --page-server --address 127.0.0.1 --port 1235 --images-dir img --work-dir there --log-file lazy.log
    sed -i s,/pods/one,/pods/two, config.json
    ( ( ${runtime} restore --detach --image-path img --work-path there --lazy-pages d < /dev/null 2>&1
      echo $? > code ) | cat >> out ) &
    until_true '[ -s code ]'; cat code out
    wait $server && wait $source; counts; cat out
    ${runtime} list -q; ${runtime} delete --force d
    ${runtime === "runc" ? "rmdir /sys/fs/cgroup/pods/one 2>/dev/null" : ""}
    gone; ls -d /sys/fs/cgroup/pods/two 2>/dev/null; true`,
);

tells(
  "--auto-dedup drops pages that were written again, and at a restore all that were read",
  ["all", "half", "the other half", "0 0", "nothing"],
  (runtime) => `
    ${runtime} checkpoint --pre-dump --image-path one --work-path work c || exit 97
    [ $(kb one) -ge 16384 ] && echo all
    touch vol/again; counts; counts
    ${runtime} checkpoint --parent-path ../one --auto-dedup --image-path two --work-path work c || exit 96
    one=$(kb one); [ $one -ge 8192 ] && [ $one -lt 10240 ] && echo half
    two=$(kb two); [ $two -ge 8192 ] && [ $two -lt 10240 ] && echo "the other half"
    detached ${runtime} restore --image-path two --work-path work --auto-dedup
    counts; cat out; echo "$(kb one) $(kb two)"; ended ${runtime}; gone`,
);

tells(
  "a pre-dump and what has changed since go to page servers too",
  ["all", "half", "nothing"],
  (runtime) => `
    mkdir one two; begin one/log 'Starting page server on port 1236' \\
      page-server --images-dir one --address 127.0.0.1 --port 1236 --log-file log
    ${runtime} checkpoint --pre-dump --image-path one --work-path work --page-server 127.0.0.1:1236 c || exit 97
    wait $server && [ $(kb one) -ge 16384 ] && echo all
    touch vol/again; counts; counts
    begin two/log 'Starting page server on port 1237' page-server --images-dir two --prev-images-dir ../one \\
      --address 127.0.0.1 --port 1237 --log-file log
    ${runtime} checkpoint --parent-path ../one --image-path two --work-path work --page-server 127.0.0.1:1237 c || exit 96
    wait $server && [ $(kb two) -lt 10240 ] && echo half
    detached ${runtime} restore --image-path two --work-path work
    counts; cat out; ended ${runtime}; gone`,
);
