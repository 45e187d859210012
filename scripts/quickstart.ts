/**
 * The first five minutes, told by the machine itself: an image is made of a static busybox, served by Gantry's own
 * small registry on a loopback port, pulled back through the distribution protocol, and run with limits. Everything
 * lies in a folder of its own below the temporary directory. No internet is needed.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { cpus, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type Container, Engine, serveRegistry } from "../src/index.ts";
import { run, top } from "./run.ts";

const terminal = process.stdout.isTTY;
const bold = (text: string) => (terminal ? `\x1b[1m${text}\x1b[0m` : text);
const dim = (text: string) => (terminal ? `\x1b[2m${text}\x1b[0m` : text);
const started = performance.now();

function say(text: string): void {
  console.log(text);
}

/** Does one step of the story and tells how long it took. */
async function step<T>(title: string, work: () => Promise<T>, detail: (result: T) => string): Promise<T> {
  const began = performance.now();
  const result = await work();
  const ms = performance.now() - began;
  const time = ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
  say(`${bold(title.padEnd(9))} ${detail(result)} ${dim(`(${time})`)}`);
  return result;
}

function fail(message: string): never {
  console.error(`quickstart: ${message}`);
  process.exit(1);
}

if (process.platform !== "linux") fail("containers need Linux");
if (process.getuid?.() !== 0) fail("run it as root: sudo npm run quickstart");
const busybox = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"].find((path) =>
  existsSync(path),
);
if (!busybox) fail("no busybox here: apt-get install busybox-static");

const build = await run(["node_modules/.bin/bun", "scripts/build.ts"]);
if (build.code !== 0) fail(`the build failed:\n${build.output}`);
const gantry = join(top, "dist/gantry");
const executor = join(top, "dist/gantry-executor");

const dir = mkdtempSync(join(tmpdir(), "gantry-quickstart-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));

/** A root file system: one static program under its many names. */
async function makeRootTar(): Promise<string> {
  const tree = join(dir, "tree");
  for (const folder of ["bin", "etc", "proc", "sys", "dev", "tmp", "root"])
    mkdirSync(join(tree, folder), { recursive: true });
  chmodSync(tree, 0o755);
  copyFileSync(busybox!, join(tree, "bin/busybox"));
  chmodSync(join(tree, "bin/busybox"), 0o755);
  const list = await run([busybox!, "--list"]);
  for (const name of list.output.split("\n"))
    if (name && name !== "busybox") symlinkSync("busybox", join(tree, "bin", name));
  writeFileSync(join(tree, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(tree, "etc/group"), "root:x:0:\n");
  writeFileSync(join(tree, "etc/motd"), "Hello from inside.\n");
  const tar = join(dir, "root.tar");
  const packed = await run(["tar", "-C", tree, "--owner=0", "--group=0", "-cf", tar, "."]);
  if (packed.code !== 0) fail(`tar: ${packed.output}`);
  return tar;
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Pushes one layer, a config and a manifest: what `docker push` says, in three kinds of requests. */
async function push(address: string, repository: string, tag: string, layer: Uint8Array): Promise<Blob> {
  const base = `http://${address}/v2/${repository}`;
  const digestOf = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const expect = async (answer: Response, status: number) => {
    if (answer.status !== status) fail(`${answer.url} answered ${answer.status}: ${await answer.text()}`);
    return answer;
  };
  const blob = async (mediaType: string, bytes: Uint8Array): Promise<Blob> => {
    const digest = digestOf(bytes);
    const begun = await expect(await fetch(`${base}/blobs/uploads/`, { method: "POST" }), 202);
    const place = new URL(begun.headers.get("location") ?? "", base);
    place.searchParams.set("digest", digest);
    await expect(await fetch(place, { method: "PUT", body: bytes as Uint8Array<ArrayBuffer> }), 201);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const layerBlob = await blob("application/vnd.oci.image.layer.v1.tar", layer);
  const imageConfig = {
    created: new Date().toISOString(),
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Env: ["PATH=/bin"], Cmd: ["sh"] },
    rootfs: { type: "layers", diff_ids: [layerBlob.digest] },
  };
  const configBlob = await blob("application/vnd.oci.image.config.v1+json", json(imageConfig));
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = json({ schemaVersion: 2, mediaType, config: configBlob, layers: [layerBlob] });
  const headers = { "content-type": mediaType };
  await expect(await fetch(`${base}/manifests/${tag}`, { method: "PUT", headers, body: manifest }), 201);
  return { mediaType, digest: digestOf(manifest), size: manifest.length };
}

/** What a process inside finds out about its world. */
const lookAround = `
echo "hostname=$(hostname)"
echo "pid=$$"
echo "processes=$(ls -d /proc/[0-9]* | wc -l)"
m=/sys/fs/cgroup/memory/memory.limit_in_bytes; [ -f $m ] || m=/sys/fs/cgroup/memory.max
echo "memory=$m says $(cat $m)"
q=/sys/fs/cgroup/cpu/cpu.cfs_quota_us; p=/sys/fs/cgroup/cpu/cpu.cfs_period_us
if [ -f $q ]; then echo "cpu=$q says $(cat $q), in periods of $(cat $p)"; else echo "cpu=/sys/fs/cgroup/cpu.max says $(cat /sys/fs/cgroup/cpu.max)"; fi
echo "links=$(ls /sys/class/net | xargs)"
echo "routes=$(($(wc -l < /proc/net/route) - 1))"
echo "root=$(ls / | xargs)"
echo "motd=$(cat /etc/motd)"
`;

const short = (id: string) => id.replace("sha256:", "").slice(0, 12);

say(`\n${bold("Gantry: one container, end to end")}  ${dim(`everything in ${dir}`)}\n`);

await using engine = await Engine.open({ root: join(dir, "root"), state: join(dir, "state"), executor });
const tar = await step("image", makeRootTar, () => `a root file system of ${busybox} and its names`);
await using registry = await serveRegistry({ root: join(dir, "registry") });
const name = `${registry.address}/quickstart:1`;
await step(
  "registry",
  () => push(registry.address, "quickstart", "1", readFileSync(tar)),
  (manifest) => `on ${registry.address} holds manifest ${short(manifest.digest)}`,
);
const image = await step(
  "pull",
  () => engine.pull(name),
  (pulled) =>
    `${name} is image ${short(pulled.id)}, unpacked as layer ${short(pulled.chainIds.at(-1) ?? "")}`,
);
// no more than this machine has
const cpuLimit = Math.min(2, cpus().length);
const request = {
  image: name,
  command: ["sh", "-c", lookAround],
  hostname: "gantry-quickstart",
  memoryBytes: 100 * 1024 * 1024,
  cpus: cpuLimit,
};
const { runtimeConfig, plan } = await step(
  "plan",
  () => engine.explain(request),
  (explained) =>
    `a config of ${JSON.stringify(explained.runtimeConfig).length} bytes became ${explained.plan.host.length} steps on the host, ${explained.plan.child.length} in the container, ${explained.plan.cleanup.length} to undo it`,
);
let pid = 0;
let container: Container | undefined;
const inside = await step(
  "run",
  async () => {
    container = await engine.run(request);
    const { state } = await container.inspect();
    if (state.kind === "running") pid = state.start.init.pid;
    const text = await container.stdout.text();
    const status = await container.wait();
    if (status !== 0) fail(`the container ended with ${status}: ${await container.stderr.text()}`);
    return new Map(
      text
        .trim()
        .split("\n")
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  },
  () =>
    `container ${short(container!.id)} "${container!.name}" on a snapshot of that layer${pid > 0 ? `, process ${pid} of the host` : ""}`,
);
await step(
  "remove",
  () => container!.remove(),
  () => "nothing is left of it",
);

say(`\n${bold("What the process inside saw")}
  host name    ${inside.get("hostname")}   ${dim(`(this machine is ${hostname()})`)}
  itself       PID ${inside.get("pid")}
  memory       ${inside.get("memory")}
  CPUs         ${inside.get("cpu")}
  network      ${inside.get("links")}, ${inside.get("routes")} routes
  root         ${inside.get("root")}
  /etc/motd    ${inside.get("motd")}`);

const checks: readonly (readonly [string, boolean])[] = [
  ["its own host name", inside.get("hostname") === "gantry-quickstart"],
  ["PID 1", inside.get("pid") === "1"],
  ["100 MB", inside.get("memory")?.endsWith(" 104857600") ?? false],
  [`${cpuLimit} CPUs`, new RegExp(`says ${cpuLimit}00000[, ]`).test(inside.get("cpu") ?? "")],
  ["an empty network namespace", inside.get("links") === "lo" && inside.get("routes") === "0"],
  ["a root that is not the host's", inside.get("root") === "bin dev etc proc root sys tmp"],
  [
    "seccomp in the config",
    runtimeConfig.linux?.seccomp !== undefined && plan.child.some(({ op }) => op === "load-seccomp"),
  ],
  ["image in the store", (await engine.images()).some(({ id }) => id === image.id)],
  ["nothing left", (await engine.containers({ all: true })).length === 0],
];
const wrong = checks.filter(([, good]) => !good).map(([what]) => what);
if (wrong.length > 0)
  fail(`not as it should be: ${wrong.join(", ")}\n${[...inside].map((pair) => pair.join("=")).join("\n")}`);

const command = gantry.startsWith(`${process.cwd()}/`)
  ? `./${gantry.slice(process.cwd().length + 1)}`
  : gantry;
say(`
All of it took ${((performance.now() - started) / 1000).toFixed(1)} s, the build included.

${bold("Next, without internet")}
  mkdir -p rootfs && cp ${busybox} rootfs/ && tar -C rootfs -c . | ${command} import -c 'ENTRYPOINT ["/busybox"]' - tiny
  ${command} run --rm tiny echo hello
  ${command} run -d --name clock -m 32m tiny sh -c 'while :; do date; sleep 1; done'
  ${command} logs -f clock                  ${dim("# Ctrl-C to leave")}
  ${command} ps
  ${command} rm -f clock
  ${command} explain run -m 32m tiny ls     ${dim("# every privileged step, before it is taken")}

${bold("Next, with internet")}
  ${command} run --rm docker.io/library/alpine cat /etc/os-release
`);
