/** Pushes an image from an OCI layout to a registry that asks for no password: the upload half of distribution. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Pushes the first image of the layout as `name:tag`; hands back the size of what was pushed. */
export async function pushLayout(
  layout: string,
  registry: string,
  name: string,
  tag: string,
): Promise<number> {
  const blob = (digest: string) => readFileSync(join(layout, "blobs", digest.replace(":", "/")));
  const json = <T>(bytes: Buffer): T => JSON.parse(bytes.toString()) as T;
  const base = `${registry}/v2/${name}`;
  const index = json<{ manifests: Descriptor[] }>(readFileSync(join(layout, "index.json")));
  const target = index.manifests[0];
  if (target === undefined) throw new Error(`push "${layout}": the layout holds no image`);
  const manifest = json<{ config: Descriptor; layers: Descriptor[] }>(blob(target.digest));
  let sizeBytes = 0;
  for (const { digest, size } of [manifest.config, ...manifest.layers]) {
    const started = await expectOk(fetch(`${base}/blobs/uploads/`, { method: "POST" }));
    const upload = new URL(started.headers.get("location") ?? "", `${base}/blobs/uploads/`);
    upload.searchParams.set("digest", digest);
    const headers = { "content-type": "application/octet-stream" };
    await expectOk(fetch(upload, { method: "PUT", headers, body: new Uint8Array(blob(digest)) }));
    sizeBytes += size;
  }
  const headers = { "content-type": target.mediaType };
  await expectOk(
    fetch(`${base}/manifests/${tag}`, { method: "PUT", headers, body: new Uint8Array(blob(target.digest)) }),
  );
  return sizeBytes;
}

async function expectOk(answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  if (!response.ok) throw new Error(`push: ${response.status} ${await response.text()}`);
  return response;
}
