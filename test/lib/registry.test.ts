import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { busyboxLayout } from "./fixtures.ts";
import { needs } from "./needs.ts";
import { type RegistryOptions, startRegistry } from "./registry.ts";
import { inLayout, inRegistry, skopeoCopy, skopeoManifest } from "./skopeo.ts";

const tools = ["docker-registry", "skopeo", "tar", "/bin/busybox"];

const kinds: readonly (RegistryOptions & { name: string })[] = [
  { name: "plain HTTP" },
  { name: "a password", password: true },
  { name: "TLS and a password", tls: true, password: true },
];

for (const { name, ...options } of kinds) {
  test(`the test registry serves over ${name} what skopeo pushed`, {
    skip: needs(...tools, "openssl"),
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "gantry-registry-"));
    try {
      await using registry = await startRegistry(dir, options);
      const place = inRegistry(registry, "library/busybox:1", { login: options.password ?? false });
      await skopeoCopy(inLayout(await busyboxLayout(), "latest"), place);
      const manifest = JSON.parse(await skopeoManifest(place)) as { layers: unknown[] };
      assert.equal(manifest.layers.length, 1);
      if (options.password) {
        const noPassword = { ...place, login: false };
        await assert.rejects(skopeoManifest(noPassword), /authentication required|unauthorized/);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
}
