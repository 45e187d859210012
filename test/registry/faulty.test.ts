/** Registries and networks that misbehave, played by a proxy before our own registry. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "../../src/base/error.ts";
import type { Credentials } from "../../src/registry/credentials.ts";
import { serveRegistry } from "../../src/registry/server.ts";
import { digestOf } from "../../src/spec/digest.ts";
import { type FaultyProxy, type Mischief, startProxy } from "./proxy.ts";
import { type PushedImage, pushRandom } from "./samples.ts";
import { partials, pull, quickRetries, type Stores, storesAt, withFolder } from "./stores.ts";

interface Scene {
  readonly folder: string;
  readonly stores: Stores;
  readonly proxy: FaultyProxy;
  readonly image: PushedImage;
  readonly name: string;
}

/** An image of one 3 MB layer and two small ones behind a proxy with that mischief. */
async function scene(
  mischief: (image: PushedImage) => Mischief,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    await using server = await serveRegistry({ root: join(folder, "registry") });
    const image = await pushRandom(`${server.address}/app:1`, [3_000_000, 1000, 1000]);
    await using proxy = await startProxy(server.address, mischief(image));
    await body({
      folder,
      stores: storesAt(join(folder, "store")),
      proxy,
      image,
      name: `${proxy.host}/app:1`,
    });
  });
}

const isBig = (image: PushedImage, url: string) => url.includes(image.layers[0]!.digest);
const rangesOfBig = ({ proxy, image }: Scene) =>
  proxy.seen.filter(({ url }) => isBig(image, url)).map(({ headers }) => headers.range ?? "whole");

/** Sends the first part of the answer, then cuts the connection. */
const cutAfter =
  (bytes: number): Mischief =>
  async (_seen, response, upstream) => {
    const { status, headers, body } = await upstream.answer();
    response.writeHead(status, headers);
    await new Promise<void>((resolve) => response.write(body.subarray(0, bytes), () => resolve()));
    response.destroy();
    return true;
  };

test("a connection that is cut again and again is resumed where it broke off", async () => {
  let cuts = 0;
  await scene(
    (image) => async (seen, response, upstream) =>
      isBig(image, seen.url) && cuts++ < 3 ? await cutAfter(700_000)(seen, response, upstream) : false,
    async (scene) => {
      const pulled = await pull(scene.stores, scene.name);
      assert.ok(await scene.stores.layers.has(pulled.chainIds[2]!));
      const ranges = rangesOfBig(scene);
      assert.equal(ranges.length, 4);
      assert.equal(ranges[0], "whole");
      const offsets = ranges.slice(1).map((range) => Number(/^bytes=(\d+)-$/.exec(range)?.[1]));
      assert.ok(
        offsets.every((offset, index) => offset > (offsets[index - 1] ?? 0)),
        `each goes further: ${offsets}`,
      );
    },
  );
});

test("a registry that ignores ranges is read again from its start, and the bytes come out right", async () => {
  let cuts = 0;
  await scene(
    (image) => async (seen, response, upstream) => {
      if (!isBig(image, seen.url)) return false;
      if (cuts++ === 0) return await cutAfter(700_000)(seen, response, upstream);
      delete (seen.headers as Record<string, unknown>).range;
      return false;
    },
    async ({ stores, name }) => {
      const pulled = await pull(stores, name);
      assert.ok(await stores.layers.has(pulled.chainIds[2]!));
    },
  );
});

test("after the last try the error stays, and what came is kept for the next pull", async () => {
  let broken = true;
  await scene(
    (image) => async (seen, response, upstream) =>
      broken && isBig(image, seen.url)
        ? await cutAfter(seen.headers.range ? 0 : 700_000)(seen, response, upstream)
        : false,
    async (scene) => {
      const { stores, name, proxy } = scene;
      await assert.rejects(pull(stores, name), (error) => isGantryError(error, "unavailable"));
      assert.deepEqual(stores.images.list(), []);
      assert.equal(partials(stores).length, 1);
      broken = false;
      const before = proxy.seen.length;
      await pull(stores, name);
      const [again] = proxy.seen.slice(before).filter(({ url }) => isBig(scene.image, url));
      assert.match(again?.headers.range ?? "whole", /^bytes=[1-9]\d+-$/);
      assert.deepEqual(partials(stores), []);
    },
  );
});

for (const status of [429, 500, 502, 503, 504])
  test(`HTTP ${status} is tried again, after as long as the registry asks`, async () => {
    let refusals = 0;
    const answer = status === 429 ? 1 : 0;
    await scene(
      () => (seen, response) => {
        if (!seen.url.includes("/manifests/") || refusals++ >= 2) return false;
        response.writeHead(status, answer ? { "retry-after": String(answer) } : {});
        response.end("<html>busy</html>");
        return true;
      },
      async ({ stores, name }) => {
        const started = performance.now();
        await pull(stores, name);
        assert.equal(refusals > 2, true);
        if (answer) assert.ok(performance.now() - started >= 2 * answer * 1000 - 50);
      },
    );
  });

test("a registry that stays busy is told as it is", async () => {
  await scene(
    () => (_seen, response) => {
      response.writeHead(429, { "retry-after": "0", "content-type": "application/json" });
      response.end(
        '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit"}]}',
      );
      return true;
    },
    async ({ stores, name, proxy }) => {
      await assert.rejects(
        pull(stores, name),
        // the answer to HEAD has no body, so the words come with GET
        (error) => isGantryError(error, "resource-exhausted") && error.detail.status === 429,
      );
      assert.ok(proxy.seen.length <= 1 + 2 * quickRetries.attempts);
    },
  );
});

test("a registry that falls silent is given up and tried again", async () => {
  let silences = 0;
  await scene(
    (image) => async (seen, response, upstream) => {
      if (!isBig(image, seen.url) || silences++ > 0) return false;
      const { status, headers, body } = await upstream.answer();
      response.writeHead(status, headers);
      response.write(body.subarray(0, 500_000));
      return true;
    },
    async (scene) => {
      await pull(scene.stores, scene.name, { idleTimeoutMs: 300 });
      assert.equal(rangesOfBig(scene).length, 2);
    },
  );
});

test("a redirect to another host gets the blob without our authorization", async () => {
  await withFolder(async (folder) => {
    await using server = await serveRegistry({ root: join(folder, "registry") });
    await pushRandom(`${server.address}/app:1`, [100_000]);
    await using storage = await startProxy(server.address, () => false);
    await using front = await startProxy(server.address, (seen, response) => {
      if (seen.headers.authorization !== `Basic ${Buffer.from("me:secret").toString("base64")}`) {
        response.writeHead(401, { "www-authenticate": 'Basic realm="test"' });
        response.end();
        return true;
      }
      if (!seen.url.includes("/blobs/")) return false;
      response.writeHead(307, { location: `http://${storage.host}${seen.url}` });
      response.end();
      return true;
    });
    const credentials = async (): Promise<Credentials> => ({
      kind: "password",
      username: "me",
      password: "secret",
    });
    await pull(storesAt(join(folder, "store")), `${front.host}/app:1`, { credentials });
    assert.ok(storage.seen.length >= 2, "config and layer came from there");
    for (const { headers } of storage.seen) assert.equal(headers.authorization, undefined);
    assert.ok(front.seen.some(({ headers }) => headers.authorization !== undefined));
  });
});

test("redirects in a circle end", async () => {
  await scene(
    () => (seen, response) => {
      if (!seen.url.includes("/blobs/")) return false;
      response.writeHead(307, { location: seen.url });
      response.end();
      return true;
    },
    async ({ stores, name }) => {
      await assert.rejects(
        pull(stores, name),
        (error) => isGantryError(error, "failed-precondition") && /more than 5 redirects/.test(error.message),
      );
    },
  );
});

test("a manifest whose bytes are not those of its digest is refused", async () => {
  await scene(
    () => async (seen, response, upstream) => {
      if (seen.method !== "GET" || !seen.url.includes("/manifests/")) return false;
      const { status, headers, body } = await upstream.answer();
      const other = Buffer.from(
        body
          .toString()
          .replace("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.CONFIG.v1+json"),
      );
      response.writeHead(status, headers);
      response.end(other);
      return true;
    },
    async ({ stores, name }) => {
      await assert.rejects(
        pull(stores, name),
        (error) => isGantryError(error, "data-loss") && /the registry sent sha256:/.test(error.message),
      );
      assert.deepEqual(stores.images.list(), []);
    },
  );
});

test("a registry that answers a digest with another one is refused", async () => {
  await scene(
    () => async (seen, response, upstream) => {
      if (!seen.url.includes("/manifests/")) return false;
      const { body, headers } = await upstream.answer();
      response.writeHead(200, {
        ...headers,
        "content-length": String(body.length || 700),
        "docker-content-digest": digestOf("other"),
      });
      response.end(seen.method === "HEAD" ? undefined : body);
      return true;
    },
    async ({ stores, image, proxy }) => {
      await assert.rejects(pull(stores, `${proxy.host}/app@${image.manifest.digest}`), (error) =>
        isGantryError(error),
      );
      assert.deepEqual(stores.images.list(), []);
    },
  );
});

test("a blob that is longer than its descriptor says is cut off", async () => {
  await scene(
    (image) => (seen, response) => {
      if (!isBig(image, seen.url)) return false;
      response.writeHead(200);
      const flood = () => {
        while (response.write(Buffer.alloc(65_536)));
        response.once("drain", flood);
      };
      response.on("error", () => {});
      flood();
      return true;
    },
    async ({ stores, name }) => {
      await assert.rejects(pull(stores, name), (error) => isGantryError(error, "data-loss"));
      assert.deepEqual(partials(stores), []);
    },
  );
});

test("a manifest without end is cut off at its limit", async () => {
  await scene(
    () => (seen, response) => {
      if (!seen.url.includes("/manifests/")) return false;
      if (seen.method === "HEAD") {
        response.writeHead(404);
        response.end();
        return true;
      }
      response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" });
      const flood = () => {
        while (response.write(Buffer.alloc(65_536, 32)));
        response.once("drain", flood);
      };
      response.on("error", () => {});
      flood();
      return true;
    },
    async ({ stores, name }) => {
      await assert.rejects(pull(stores, name), (error) => isGantryError(error, "resource-exhausted"));
    },
  );
});

test("an abort in the middle leaves nothing but partial blobs that the next pull goes on with", async () => {
  const abort = new AbortController();
  const reason = new Error("stop it");
  let stopped = false;
  await scene(
    (image) => async (seen, response, upstream) => {
      if (!isBig(image, seen.url) || stopped) return false;
      stopped = true;
      const { status, headers, body } = await upstream.answer();
      response.writeHead(status, headers);
      response.write(body.subarray(0, 1_500_000));
      setTimeout(() => abort.abort(reason), 150);
      return true;
    },
    async (scene) => {
      const { stores, name } = scene;
      await assert.rejects(pull(stores, name, {}, { signal: abort.signal }), reason);
      assert.deepEqual(stores.images.list(), []);
      assert.equal(stores.leases.claimed().size, 0);
      assert.equal(partials(stores).length, 1);
      assert.match(partials(stores)[0]!, /\.idle\./);
      await pull(stores, name);
      assert.match(rangesOfBig(scene).at(-1)!, /^bytes=[1-9]/);
    },
  );
});

test("a file server that calls everything application/json, and knows no HEAD, still serves images", async () => {
  await scene(
    () => async (seen, response, upstream) => {
      if (!seen.url.includes("/manifests/")) return false;
      if (seen.method === "HEAD") {
        response.writeHead(405);
        response.end();
        return true;
      }
      const { status, body } = await upstream.answer();
      response.writeHead(status, { "content-type": "application/json" });
      response.end(body);
      return true;
    },
    async ({ stores, name, image }) => {
      assert.equal((await pull(stores, name)).manifestDescriptor.digest, image.manifest.digest);
    },
  );
});
