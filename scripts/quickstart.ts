/**
 * `npm run quickstart`: one real container, from an image to nothing left, and what happened on the way. Needs root,
 * a static busybox and no network: the image comes from Gantry's own registry on loopback.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { busyboxLayout, busyboxTar } from "../test/lib/fixtures.ts";
import { pushLayout } from "./push-layout.ts";
import { run, top } from "./run.ts";

const started = performance.now();
let chapters = 0;

/** The steps of a plan that say most. */
const telling =
  /^\S+ +\d+ +(clone|pivot|set-capabilities|load-seccomp|exec|kill-child) |type=overlay|file=(memory\.(limit_in_bytes|max)|cpu\.(cfs_quota_us|max)) /;

/** Runs in the container: prints what it finds, then waits for the end of its input. */
const insideScript = `
echo "hostname  $(hostname)"
echo "pid       $$"
for file in memory/memory.limit_in_bytes memory.max; do
  [ -e /sys/fs/cgroup/$file ] && echo "memory    $(cat /sys/fs/cgroup/$file) from $file"
done
[ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us ] && echo "cpu       $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us)/$(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us) from cpu/cpu.cfs_quota_us, cpu.cfs_period_us"
[ -e /sys/fs/cgroup/cpu.max ] && echo "cpu       $(cat /sys/fs/cgroup/cpu.max) from cpu.max"
echo "network   $(ls /sys/class/net | tr '\\n' ' ' | sed 's/ $//'), $(ip route | grep -q . && ip route || echo no route)"
echo "root      $(ls / | tr '\\n' ' ')"
echo "mount     $(grep -m 1 ' / ' /proc/mounts | cut -d ' ' -f 1,3)"
echo ready
cat > /dev/null
`;

await must(["node_modules/.bin/bun", "scripts/build.ts"], "build");
if (process.getuid?.() !== 0) stop("it starts a real container, which needs root: sudo npm run quickstart");
if (!existsSync("/bin/busybox")) stop("it makes its image from /bin/busybox: apt-get install busybox-static");

const gantry: typeof import("../src/index.ts") = await import(join(top, "dist/lib/index.js"));
const dir = mkdtempSync(join(tmpdir(), "gantry-quickstart-"));
try {
  await story(dir);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);

async function story(dir: string): Promise<void> {
  const [root, state] = [join(dir, "root"), join(dir, "state")];
  const clock = stopwatch();

  const layout = await busyboxLayout();
  chapter("An image, made from this machine's static busybox", clock());
  tell("layout", layout);

  await using registry = await gantry.serveRegistry({ root: join(dir, "registry") });
  const pushedBytes = await pushLayout(layout, `http://${registry.address}`, "demo/busybox", "1");
  chapter("A registry, Gantry's own, on loopback", clock());
  tell("address", registry.address);
  tell("pushed", `demo/busybox:1, ${kilobytes(pushedBytes)}`);

  await using engine = await gantry.Engine.open({ root, state });
  const reference = `${registry.address}/demo/busybox:1`;
  const image = await engine.pull(reference);
  chapter("Pulled back over the OCI distribution protocol, every digest verified", clock());
  tell("image", reference);
  tell("id", image.id);
  tell("layers", `${image.manifest.layers.length}, ${kilobytes(image.contentSizeBytes)} compressed`);
  tell("snapshot", `${image.chainIds.at(-1)}`);

  const request = {
    image: reference,
    command: ["sh", "-c", insideScript],
    hostname: "quickstart",
    memoryBytes: 100 * 1024 * 1024,
    cpus: 2,
    network: "none",
    stdin: true,
  } as const;
  const { runtimeConfig, plan } = await engine.explain(request);
  chapter("Explained before anything is done", clock());
  const namespaces = runtimeConfig.linux?.namespaces?.map(({ type }) => type) ?? [];
  tell("config", `${runtimeConfig.mounts?.length ?? 0} mounts; namespaces ${namespaces.join(", ")}`);
  const { host, child, cleanup } = plan;
  tell(
    "plan",
    `${host.length} steps outside, ${child.length} inside, ${cleanup.length} to clean up; among them`,
  );
  for (const line of gantry.printPlan(plan).split("\n")) {
    if (telling.test(line)) console.log(`    ${line.trim().slice(0, 110)}`);
  }

  clock();
  await using container = await engine.run(request);
  const startMs = clock();
  const seen: string[] = [];
  for await (const line of container.stdout.lines()) {
    if (line === "ready") break;
    seen.push(line);
  }
  const inspection = await container.inspect();
  chapter("Started with 100 MB and 2 CPUs", startMs);
  tell("container", `${container.name} ${container.id.slice(0, 12)}`);
  if (inspection.state.kind === "running") {
    const { init, shim } = inspection.state.start;
    tell("pid", `${init.pid} on this machine, where its shim is ${shim.pid}`);
  }

  console.log("\n  What it sees:");
  for (const line of seen) console.log(`    ${line}`);
  tell("here", `the host name is ${hostname()}, and / holds ${readdirSync("/").length} entries`);
  check(seen, /^hostname +quickstart$/);
  check(seen, /^pid +1$/);
  check(seen, /^memory +104857600 /);
  check(seen, /^cpu +(200000\/100000|200000 100000) /);
  check(seen, /^network +lo, no route$/);

  clock();
  await container.stdin.end();
  const code = await container.wait();
  await container.remove();
  await engine.removeImage(reference);
  chapter("Asked to end, waited for, removed, and the image too", clock());
  tell("exit", String(code));
  const left = (await engine.containers({ all: true })).length + (await engine.images()).length;
  tell("left", left === 0 ? "nothing" : `${left} objects`);
  if (code !== 0 || left !== 0) throw new Error("quickstart: the container did not end as it should");

  console.log(`\nDone in ${((performance.now() - started) / 1000).toFixed(1)} s. Next, without internet:`);
  const tar = (await busyboxTar()).replace(`${top}/`, "");
  console.log(`  dist/gantry import -c 'CMD ["sh"]' ${tar} busybox`);
  console.log("  dist/gantry run --rm -i busybox");
  console.log("  dist/gantry explain run --read-only -m 64m busybox | less");
  console.log("With internet:");
  console.log("  dist/gantry run --rm alpine cat /etc/os-release");
  console.log(
    "  dist/gantry run -d --name db -e POSTGRES_PASSWORD=secret postgres && dist/gantry logs -f db",
  );
}

function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const ms = now - last;
    last = now;
    return ms;
  };
}

function chapter(title: string, ms: number): void {
  console.log(`\n${++chapters}. ${title} (${ms.toFixed(1)} ms)`);
}

function tell(word: string, text: string): void {
  console.log(`  ${word.padEnd(10)}${text}`);
}

function check(lines: readonly string[], expected: RegExp): void {
  if (!lines.some((line) => expected.test(line)))
    throw new Error(`quickstart: the container does not say ${expected}`);
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1000)} kB`;
}

async function must(command: readonly string[], what: string): Promise<void> {
  const done = await run(command);
  if (done.code !== 0) stop(`${what}:\n${done.output}`);
}

function stop(message: string): never {
  console.error(`quickstart: ${message}`);
  process.exit(1);
}
