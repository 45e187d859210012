/** Pulling from a registry that is not ours: Debian's docker-registry, filled by skopeo. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "../../src/base/error.ts";
import type { Credentials } from "../../src/registry/credentials.ts";
import { storedCredentials } from "../../src/registry/credentials.ts";
import { digestHex } from "../../src/spec/digest.ts";
import { parsePlatform } from "../../src/spec/platform.ts";
import { needs } from "../lib/needs.ts";
import { credentials, startRegistry } from "../lib/registry.ts";
import { inRegistry } from "../lib/skopeo.ts";
import { pushWithSkopeo } from "./samples.ts";
import { partials, pull, storesAt, withFolder } from "./stores.ts";

const skip = needs("docker-registry", "skopeo", "tar", "openssl");
const known = async (): Promise<Credentials> => ({ kind: "password", ...credentials });

for (const [name, format] of [
  ["OCI", "oci"],
  ["Docker schema 2", "v2s2"],
] as const)
  test(
    `an image in ${name} format is pulled and verified`,
    { skip },
    async () =>
      await withFolder(async (folder) => {
        await using registry = await startRegistry(folder);
        // Docker's schema knows gzip only
        const more = format === "v2s2" ? ({ format, compressions: ["gzip", "gzip", "gzip"] } as const) : {};
        await pushWithSkopeo(folder, inRegistry(registry, "team/app:1"), more);
        const stores = storesAt(join(folder, "store"));
        const image = await pull(stores, `${registry.host}/team/app:1`);
        assert.equal(image.chainIds.length, 3);
        assert.match(
          image.manifest.mediaType,
          format === "oci" ? /oci\.image\.manifest/ : /docker\.distribution\.manifest\.v2/,
        );
        for (const chainId of image.chainIds) assert.ok(await stores.layers.has(chainId));
        assert.deepEqual(partials(stores), []);
      }),
  );

test(
  "an index gives the image of the wanted platform",
  { skip },
  async () =>
    await withFolder(async (folder) => {
      await using registry = await startRegistry(folder);
      await pushWithSkopeo(folder, inRegistry(registry, "multi:1"), {
        architectures: ["amd64", "arm64"],
        all: true,
      });
      const stores = storesAt(join(folder, "store"));
      const name = `${registry.host}/multi:1`;
      const amd = await pull(stores, name, {}, { platform: parsePlatform("linux/amd64") });
      const arm = await pull(stores, name, {}, { platform: parsePlatform("linux/arm64/v8") });
      assert.deepEqual([amd.platform.architecture, arm.platform.architecture], ["amd64", "arm64"]);
      assert.equal(amd.target.digest, arm.target.digest);
      await assert.rejects(pull(stores, name, {}, { platform: parsePlatform("linux/s390x") }), (error) =>
        isGantryError(error, "not-found"),
      );
      const byDigest = await pull(stores, `${registry.host}/multi@${amd.manifestDescriptor.digest}`);
      assert.equal(byDigest.id, amd.id);
    }),
);

test(
  "a password is asked for, checked, and read from docker's config file",
  { skip },
  async () =>
    await withFolder(async (folder) => {
      await using registry = await startRegistry(folder, { password: true });
      await pushWithSkopeo(folder, inRegistry(registry, "team/app:1", { login: true }));
      const stores = storesAt(join(folder, "store"));
      const name = `${registry.host}/team/app:1`;
      await assert.rejects(pull(stores, name), (error) => isGantryError(error, "unauthenticated"));
      const wrong = async () => ({ ...(await known()), password: "wrong" }) as Credentials;
      await assert.rejects(
        pull(stores, name, { credentials: wrong }),
        (error) => isGantryError(error, "unauthenticated") && !error.message.includes("wrong"),
        "the password is not told",
      );
      const config = join(folder, "config.json");
      const auth = Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
      writeFileSync(config, JSON.stringify({ auths: { [registry.host]: { auth } } }));
      const image = await pull(stores, name, { credentials: storedCredentials([config]) });
      assert.equal(image.chainIds.length, 3);
    }),
);

test(
  "TLS needs a certificate that is trusted: by certs.d, or by calling the registry insecure",
  { skip },
  async () =>
    await withFolder(async (folder) => {
      await using registry = await startRegistry(folder, { tls: true, password: true });
      await pushWithSkopeo(folder, inRegistry(registry, "team/app:1", { login: true }));
      const name = `${registry.host}/team/app:1`;
      const certificates = join(folder, "certs.d");
      const options = { credentials: known, certificateFolders: [certificates] };
      await assert.rejects(
        pull(storesAt(join(folder, "a")), name, options),
        (error) =>
          isGantryError(error, "unavailable") && /the certificate is not trusted/.test(error.message),
      );
      const insecure = await pull(storesAt(join(folder, "b")), name, {
        ...options,
        insecure: [registry.host],
      });
      mkdirSync(join(certificates, registry.host), { recursive: true });
      copyFileSync(registry.caFile!, join(certificates, registry.host, "ca.crt"));
      const trusted = await pull(storesAt(join(folder, "c")), name, options);
      assert.equal(trusted.id, insecure.id);
    }),
);

test(
  "what the registry does not have is not-found, in its own words",
  { skip },
  async () =>
    await withFolder(async (folder) => {
      await using registry = await startRegistry(folder);
      const stores = storesAt(join(folder, "store"));
      await assert.rejects(
        pull(stores, `${registry.host}/nobody/nothing:1`),
        (error) =>
          isGantryError(error, "not-found") &&
          error.detail.registryCode === "MANIFEST_UNKNOWN" &&
          error.detail.status === 404,
      );
    }),
);

test(
  "a registry that is not there is unavailable, at once",
  { skip },
  async () =>
    await withFolder(async (folder) => {
      const registry = await startRegistry(folder);
      await registry.stop();
      const started = performance.now();
      await assert.rejects(
        pull(storesAt(join(folder, "store")), `${registry.host}/app`, {
          retry: { attempts: 5, baseMs: 2000, maxMs: 2000 },
        }),
        (error) => isGantryError(error, "unavailable") && /connection refused/.test(error.message),
      );
      assert.ok(performance.now() - started < 2000, "no retries");
    }),
);

/** Where docker-registry keeps a blob. */
const blobFile = (storage: string, digest: string) => {
  const hex = digestHex(digest as never);
  return join(storage, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
};

test(
  "a blob that the registry has lost a part of is an error, and nothing gets the name",
  { skip },
  async () =>
    await withFolder(async (folder) => {
      await using registry = await startRegistry(folder);
      await pushWithSkopeo(folder, inRegistry(registry, "app:1"));
      const whole = await pull(storesAt(join(folder, "whole")), `${registry.host}/app:1`);
      const [layer] = whole.manifest.layers;
      truncateSync(blobFile(registry.storage, layer!.digest), 50_000);
      const stores = storesAt(join(folder, "store"));
      await assert.rejects(
        pull(stores, `${registry.host}/app:1`),
        (error) => isGantryError(error, "data-loss") && /has only 50000 of \d+ bytes/.test(error.message),
      );
      assert.deepEqual(stores.images.list(), []);
    }),
);

test(
  "a blob or a manifest with other bytes is data-loss, and nothing of it stays",
  { skip },
  async () =>
    await withFolder(async (folder) => {
      await using registry = await startRegistry(folder);
      await pushWithSkopeo(folder, inRegistry(registry, "app:1"));
      const whole = await pull(storesAt(join(folder, "whole")), `${registry.host}/app:1`);
      const [layer] = whole.manifest.layers;
      writeFileSync(blobFile(registry.storage, layer!.digest), Buffer.alloc(layer!.size, 1));
      const stores = storesAt(join(folder, "store"));
      await assert.rejects(pull(stores, `${registry.host}/app:1`), (error) =>
        isGantryError(error, "data-loss"),
      );
      assert.equal(await stores.content.info(layer!.digest), undefined);
      assert.deepEqual(
        partials(stores).filter((name) => name.includes(digestHex(layer!.digest))),
        [],
      );
    }),
);
