import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { isGantryError } from "../base/error.ts";
import { MemoryContentStore } from "../content/memory-store.ts";
import { digestOf } from "../spec/digest.ts";
import { mediaTypes } from "../spec/media-types.ts";
import { parseReference } from "../spec/reference.ts";
import { RegistryClient } from "./client.ts";
import { serveRegistry } from "./server.ts";

const root = mkdtempSync(join(tmpdir(), "gantry-registry-"));
const server = await serveRegistry({ root, content: new MemoryContentStore() });
const client = new RegistryClient({ retry: { attempts: 2, baseMs: 1 } });
after(async () => {
  client[Symbol.dispose]();
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

const base = `http://${server.address}`;
const reference = (text: string) => parseReference(`${server.address}/${text}`);
const call = async (method: string, path: string, init: RequestInit = {}) =>
  await fetch(`${base}${path}`, { method, ...init });
const errorCode = async (response: Response) =>
  ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code;

async function pushBlob(path: string, bytes: Buffer) {
  const blob = { digest: digestOf(bytes), size: bytes.length };
  await client.pushBlob(reference(path), blob, async function* () {
    yield bytes;
  });
  return blob;
}

async function pushImage(path: string, layer: Buffer, more: object = {}) {
  const config = {
    mediaType: mediaTypes.ociConfig,
    ...(await pushBlob(path, Buffer.from('{"os":"linux"}'))),
  };
  const layers = [{ mediaType: mediaTypes.ociLayer, ...(await pushBlob(path, layer)) }];
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers, ...more }),
  );
  return { bytes, descriptor: await client.pushManifest(reference(path), mediaTypes.ociManifest, bytes) };
}

test("what is pushed comes back by tag and by digest", async () => {
  const { bytes, descriptor } = await pushImage("team/app:1", Buffer.from("layer"));
  assert.deepEqual((await client.resolve(reference("team/app:1"))).descriptor, descriptor);
  assert.deepEqual((await client.resolve(reference(`team/app@${descriptor.digest}`))).descriptor, descriptor);
  assert.ok(Buffer.from(await client.fetchManifest(reference("team/app"), descriptor)).equals(bytes));
});

test("a blob that is there is not uploaded again", async () => {
  const blob = await pushBlob("again", Buffer.from("same"));
  const second = await client.pushBlob(reference("again"), blob, () => assert.fail("no upload"));
  assert.equal(second.uploaded, false);
});

test("tags are listed page by page", async () => {
  const tags = ["a", "b", "c", "d", "e"];
  for (const tag of tags) await pushImage(`paged:${tag}`, Buffer.from("x"));
  const found: string[] = [];
  for await (const tag of client.tags(reference("paged"))) found.push(tag);
  assert.deepEqual(found, tags);
  const page = await call("GET", "/v2/paged/tags/list?n=2&last=b");
  assert.deepEqual(((await page.json()) as { tags: string[] }).tags, ["c", "d"]);
  assert.match(page.headers.get("link") ?? "", /last=d>; rel="next"/);
  const catalog = (await (await call("GET", "/v2/_catalog")).json()) as { repositories: string[] };
  assert.ok(catalog.repositories.includes("paged") && catalog.repositories.includes("team/app"));
});

test("a blob is served whole, in part, and not beyond its end", async () => {
  const { digest } = await pushBlob("ranges", Buffer.from("0123456789"));
  const path = `/v2/ranges/blobs/${digest}`;
  const get = async (range?: string) => {
    const response = await call("GET", path, range ? { headers: { range } } : {});
    return [
      response.status,
      response.headers.get("content-range"),
      response.ok ? await response.text() : await errorCode(response),
    ];
  };
  assert.deepEqual(await get(), [200, null, "0123456789"]);
  assert.deepEqual(await get("bytes=4-"), [206, "bytes 4-9/10", "456789"]);
  assert.deepEqual(await get("bytes=2-3"), [206, "bytes 2-3/10", "23"]);
  assert.deepEqual(await get("bytes=8-100"), [206, "bytes 8-9/10", "89"]);
  assert.deepEqual(await get("bytes=10-"), [416, "bytes */10", "RANGE_INVALID"]);
  assert.deepEqual(await get("bytes=0-1,4-5"), [200, null, "0123456789"]);
  const head = await call("HEAD", path);
  assert.deepEqual(
    [head.status, head.headers.get("content-length"), head.headers.get("docker-content-digest")],
    [200, "10", digest],
  );
});

test("a blob can be uploaded in chunks, in order only", async () => {
  const bytes = Buffer.from("hello world");
  const started = await call("POST", "/v2/chunks/blobs/uploads/");
  assert.equal(started.status, 202);
  const location = started.headers.get("location")!;
  const patch = async (from: number, to: number) =>
    await call("PATCH", location, {
      body: bytes.subarray(from, to),
      headers: { "content-range": `${from}-${to - 1}` },
    });
  assert.equal((await patch(0, 5)).headers.get("range"), "0-4");
  assert.equal((await patch(8, 11)).status, 416);
  const status = await call("GET", location);
  assert.deepEqual([status.status, status.headers.get("range")], [204, "0-4"]);
  assert.equal((await patch(5, 8)).status, 202);
  const done = await call("PUT", `${location}?digest=${digestOf(bytes)}`, { body: bytes.subarray(8) });
  assert.deepEqual([done.status, done.headers.get("docker-content-digest")], [201, digestOf(bytes)]);
  assert.equal(await (await call("GET", `/v2/chunks/blobs/${digestOf(bytes)}`)).text(), "hello world");
  assert.equal((await call("GET", location)).status, 404);
});

test("uploads of the wrong digest are refused and leave nothing", async () => {
  const right = digestOf("right");
  const response = await call("POST", `/v2/wrong/blobs/uploads/?digest=${right}`, { body: "wrong" });
  assert.deepEqual([response.status, await errorCode(response)], [400, "DIGEST_INVALID"]);
  assert.equal((await call("HEAD", `/v2/wrong/blobs/${right}`)).status, 404);
});

test("a manifest whose blobs are missing, or which is none, is refused", async () => {
  const put = async (body: string, type: string = mediaTypes.ociManifest, name = "t") => {
    const response = await call("PUT", `/v2/bad/manifests/${name}`, {
      body,
      headers: { "content-type": type },
    });
    return [response.status, await errorCode(response)];
  };
  const config = { mediaType: mediaTypes.ociConfig, digest: digestOf("absent"), size: 6 };
  const text = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] });
  assert.deepEqual(await put(text), [404, "MANIFEST_BLOB_UNKNOWN"]);
  assert.deepEqual(await put("{"), [400, "MANIFEST_INVALID"]);
  assert.deepEqual(await put(text, "text/plain"), [400, "MANIFEST_INVALID"]);
  assert.deepEqual(await put(text, mediaTypes.ociManifest, digestOf("other")), [400, "DIGEST_INVALID"]);
  assert.deepEqual(await put("x".repeat(5 * 1024 * 1024)), [400, "SIZE_INVALID"]);
});

test("what is not there has the specification's error codes", async () => {
  for (const [path, status, code] of [
    [`/v2/none/manifests/latest`, 404, "MANIFEST_UNKNOWN"],
    [`/v2/none/blobs/${digestOf("absent")}`, 404, "BLOB_UNKNOWN"],
    [`/v2/none/blobs/sha256:abc`, 400, "DIGEST_INVALID"],
    [`/v2/none/tags/list`, 404, "NAME_UNKNOWN"],
    [`/v2/UPPER/tags/list`, 400, "NAME_INVALID"],
    [`/v2/a/..%2f..%2fb/tags/list`, 400, "NAME_INVALID"],
    [`/elsewhere`, 404, "NAME_UNKNOWN"],
  ] as const) {
    const response = await call("GET", path);
    assert.deepEqual([response.status, await errorCode(response)], [status, code], path);
  }
  await assert.rejects(
    client.resolve(reference("none:1")),
    (error) => isGantryError(error, "not-found") && error.detail.registryCode === "MANIFEST_UNKNOWN",
  );
});

test("referrers of a manifest are found by their subject, filtered by type", async () => {
  const { descriptor } = await pushImage("signed:1", Buffer.from("subject"));
  const signature = await pushImage("signed:sig", Buffer.from("signature"), {
    subject: descriptor,
    artifactType: "application/sig",
  });
  const list = async (query = "") => {
    const response = await call("GET", `/v2/signed/referrers/${descriptor.digest}${query}`);
    return ((await response.json()) as { manifests: { digest: string }[] }).manifests.map(
      ({ digest }) => digest,
    );
  };
  assert.deepEqual(await list(), [signature.descriptor.digest]);
  assert.deepEqual(await list("?artifactType=application/sig"), [signature.descriptor.digest]);
  assert.deepEqual(await list("?artifactType=application/other"), []);
});

test("deleting a manifest takes its tags along", async () => {
  const { descriptor } = await pushImage("gone:1", Buffer.from("x"));
  assert.equal((await call("DELETE", `/v2/gone/manifests/${descriptor.digest}`)).status, 202);
  assert.equal((await call("GET", "/v2/gone/manifests/1")).status, 404);
  assert.equal((await call("DELETE", `/v2/gone/manifests/${descriptor.digest}`)).status, 404);
});

test("a mount of a known blob needs no upload", async () => {
  const { digest } = await pushBlob("from", Buffer.from("mounted"));
  const response = await call("POST", `/v2/to/blobs/uploads/?mount=${digest}&from=from`);
  assert.deepEqual([response.status, response.headers.get("docker-content-digest")], [201, digest]);
});

test("a read-only registry denies every change", async () => {
  await using readOnly = await serveRegistry({
    root: join(root, "ro"),
    content: new MemoryContentStore(),
    readOnly: true,
  });
  const response = await fetch(`http://${readOnly.address}/v2/a/blobs/uploads/`, { method: "POST" });
  assert.deepEqual([response.status, await errorCode(response)], [403, "DENIED"]);
});

test("a registry stops with its signal, and a taken port is told", async () => {
  const abort = new AbortController();
  const short = await serveRegistry({
    root: join(root, "short"),
    content: new MemoryContentStore(),
    signal: abort.signal,
  });
  await assert.rejects(
    serveRegistry({ root: join(root, "taken"), port: short.port }),
    /serve registry "127\.0\.0\.1:\d+"/,
  );
  abort.abort();
  await short.close();
  await assert.rejects(fetch(`http://${short.address}/v2/`));
});
