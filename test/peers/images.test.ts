/** Images as Gantry and podman see them: the same registry, the same image, the same files. */
import assert from "node:assert/strict";
import test from "node:test";
import { openPodman } from "../../bench/peers/podman.ts";
import { must } from "../lib/command.ts";
import { bigLayout, busyboxLayout, debianLayout } from "../lib/fixtures.ts";
import { ownMounts } from "../lib/mount-namespace.ts";
import { needs, skipped } from "../lib/needs.ts";
import { startRegistry } from "../lib/registry.ts";
import { gantryProgram, type Sandbox, withSandbox } from "../lib/sandbox.ts";
import { inLayout, inRegistry, skopeoCopy } from "../lib/skopeo.ts";

const programs = ["root", gantryProgram, "docker-registry", "skopeo", "podman", "crun", "/bin/busybox"];

/** Every file of the root file system: path, mode, owner, size, links, time, and the digest of what is in it. */
const listing = `
  find / -xdev ! -type d -exec stat -c '%n %F %a %u:%g %s %h %Y' {} +
  find / -xdev -type d -exec stat -c '%n %F %a %u:%g' {} +
  find / -xdev -type l -exec sh -c 'for f; do echo "$f -> $(readlink "$f")"; done' sh {} +
  find / -xdev -type f -exec sha256sum {} +`;

/** What an engine puts into a container by itself. */
const ownFiles =
  /(^| )\/((dev|proc|sys|run)(\/\S*)?|etc\/(hosts|hostname|resolv\.conf|mtab)|\.dockerenv)( |$)|^\/(etc)? directory/;

function lines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !ownFiles.test(line))
    .sort();
}

/** Puts a layout into a registry and lists the image's files by both engines. */
async function compare(
  box: Sandbox,
  layout: string,
  name: string,
): Promise<{ gantry: string[]; podman: string[] }> {
  await using registry = await startRegistry(box.dir);
  await skopeoCopy(inLayout(layout, "latest"), inRegistry(registry, name));
  const reference = `${registry.host}/${name}`;
  const run = ["run", "--rm", "--network", "none", reference, "sh", "-c", listing];
  const time = { timeoutMs: 300_000 };
  await box.must(["pull", "--quiet", reference], time);
  const gantry = lines(await box.must(run, time));
  // crun 1.8 takes no hybrid layout of cgroups: it gets one without the v2 tree
  await using mounts = await ownMounts("umount /sys/fs/cgroup/unified || true");
  await using podman = await openPodman(`${box.dir}/podman`, await busyboxLayout(), mounts);
  await podman.pull(reference);
  const argv = [...podman.cli, ...run];
  return { gantry, podman: lines(await must(argv, { env: podman.env, ...time })) };
}

/** The difference, short enough to read: deepEqual over 40,000 lines is not. */
function assertSame(gantry: readonly string[], podman: readonly string[]): void {
  const [ours, theirs] = [new Set(gantry), new Set(podman)];
  const missing = podman.filter((line) => !ours.has(line)).map((line) => `- ${line}`);
  const added = gantry.filter((line) => !theirs.has(line)).map((line) => `+ ${line}`);
  assert.deepEqual([...missing, ...added].slice(0, 40), []);
}

test(
  "an image of Debian packages has the same files in both engines",
  { skip: needs(...programs, "apt-get") },
  () =>
    withSandbox(async (box) => {
      const layout = await debianLayout();
      if (layout === undefined) return void skipped("apt hands out no packages");
      const { gantry, podman } = await compare(box, layout, "debian:bookworm");
      assert.ok(gantry.length > 2000, `only ${gantry.length} lines`);
      assertSame(gantry, podman);
    }),
);

test("an image of more than 500 MB has the same files in both engines", { skip: needs(...programs) }, () =>
  withSandbox(async (box) => {
    const { gantry, podman } = await compare(box, await bigLayout(), "big:latest");
    assert.ok(gantry.length > 20_000, `only ${gantry.length} lines`);
    assertSame(gantry, podman);
  }),
);
