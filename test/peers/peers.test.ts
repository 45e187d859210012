import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { openContainerd } from "../../bench/peers/containerd.ts";
import { openDockerd } from "../../bench/peers/dockerd.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { openPodman } from "../../bench/peers/podman.ts";
import { command } from "../lib/command.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { needs } from "../lib/needs.ts";

const peers: readonly {
  name: string;
  programs: string[];
  open(dir: string, layout: string): Promise<Peer>;
}[] = [
  { name: "podman", programs: ["podman", "crun"], open: openPodman },
  { name: "containerd", programs: ["containerd", "ctr", "runc"], open: openContainerd },
  { name: "dockerd", programs: ["dockerd", "docker", "containerd", "runc", "skopeo"], open: openDockerd },
];

for (const { name, programs, open } of peers) {
  test(`${name} runs a container for the benchmark and leaves no mount`, {
    skip: needs("root", ...programs),
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "gantry-peer-"));
    try {
      await using peer = await open(dir, await busyboxLayout());
      const { code, stderr } = await command(peer.runTrue(), { env: peer.env });
      assert.equal(code, 0, stderr);
    } finally {
      const mounts = readFileSync("/proc/self/mountinfo", "utf8");
      assert.ok(!mounts.includes(dir), "a mount is left");
      rmSync(dir, { recursive: true, force: true });
    }
  });
}
