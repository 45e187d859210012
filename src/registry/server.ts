/**
 * A small registry to embed: the OCI distribution specification, pull and push, over a content store.
 * For tests, air-gapped machines and sharing images between a few of them. It has neither
 * authentication nor TLS of its own, so it belongs on loopback or behind a proxy that has them.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { wrapErrno } from "../base/error.ts";
import type { ContentStore } from "../content/content-store.ts";
import { DiskContentStore } from "../content/disk-store.ts";
import { isRepositoryPath } from "../spec/reference.ts";
import { RepositoryStore } from "./repository-store.ts";
import { BlobRoutes } from "./server-blobs.ts";
import { Exchange, RegistryRefusal } from "./server-exchange.ts";
import {
  deleteManifest,
  getManifest,
  listReferrers,
  listRepositories,
  listTags,
  putManifest,
  type RegistryStores,
} from "./server-manifests.ts";

export interface RegistryServerOptions {
  /** Folder of the registry; it is created. */
  readonly root: string;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Default: any free one. */
  readonly port?: number;
  /** Blobs live elsewhere than below `root`. */
  readonly content?: ContentStore;
  readonly readOnly?: boolean;
  /** Told of every finished request. */
  readonly onRequest?: (line: {
    readonly method: string;
    readonly path: string;
    readonly status: number;
  }) => void;
  /** Closes the server when it is aborted. */
  readonly signal?: AbortSignal;
}

export interface RegistryServer extends AsyncDisposable {
  /** `127.0.0.1:5000`, as it stands in references. */
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

const routeForm = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.*)$/;

interface Context {
  readonly stores: RegistryStores;
  readonly blobs: BlobRoutes;
  readonly readOnly: boolean;
}

async function route(context: Context, exchange: Exchange): Promise<void> {
  const { pathname } = exchange.url;
  const method = exchange.request.method ?? "GET";
  const reads = method === "GET" || method === "HEAD";
  if (context.readOnly && !reads) throw new RegistryRefusal("DENIED", "this registry is read-only");
  if ((pathname === "/v2/" || pathname === "/v2") && reads) return exchange.json(200, {});
  if (pathname === "/v2/_catalog" && reads) return listRepositories(context.stores, exchange);
  const upload = /^\/v2\/(.+)\/blobs\/uploads\/([0-9a-f-]*)$/.exec(pathname);
  if (upload?.[1] !== undefined && upload[2] !== undefined)
    return await routeUpload(context.blobs, exchange, method, checkedPath(upload[1]), upload[2]);
  const [, rawPath, kind, rest] = routeForm.exec(pathname) ?? [];
  if (rawPath === undefined || rest === undefined)
    throw new RegistryRefusal("NAME_UNKNOWN", "no such resource");
  const path = checkedPath(rawPath);
  if (kind === "tags" && rest === "list" && reads) return listTags(context.stores, exchange, path);
  if (kind === "referrers" && reads) return listReferrers(context.stores, exchange, path, rest);
  if (kind === "blobs" && reads) return await context.blobs.get(exchange, rest);
  if (kind === "blobs" && method === "DELETE") return await context.blobs.remove(exchange, rest);
  if (kind === "manifests" && reads) return await getManifest(context.stores, exchange, path, rest);
  if (kind === "manifests" && method === "PUT")
    return await putManifest(context.stores, exchange, path, rest);
  if (kind === "manifests" && method === "DELETE")
    return deleteManifest(context.stores, exchange, path, rest);
  throw new RegistryRefusal("UNSUPPORTED", `${method} is not possible here`);
}

async function routeUpload(
  blobs: BlobRoutes,
  exchange: Exchange,
  method: string,
  path: string,
  id: string,
): Promise<void> {
  if (id === "" && method === "POST") return await blobs.begin(exchange, path);
  if (id !== "" && method === "PATCH") return await blobs.append(exchange, path, id);
  if (id !== "" && method === "PUT") return await blobs.end(exchange, path, id);
  if (id !== "" && method === "GET") return blobs.status(exchange, path, id);
  if (id !== "" && method === "DELETE") return await blobs.cancel(exchange, path, id);
  throw new RegistryRefusal("UNSUPPORTED", `${method} is not possible here`);
}

/** Also the wall between requests and file names: a repository path has neither dots alone nor escapes. */
function checkedPath(path: string): string {
  if (!isRepositoryPath(path)) throw new RegistryRefusal("NAME_INVALID", "not a repository name");
  return path;
}

export async function serveRegistry(options: RegistryServerOptions): Promise<RegistryServer> {
  options.signal?.throwIfAborted();
  const content = options.content ?? new DiskContentStore(join(options.root, "content"));
  const stores = { content, repositories: new RepositoryStore(join(options.root, "repositories")) };
  const context = { stores, blobs: new BlobRoutes(content), readOnly: options.readOnly ?? false };
  const closing = new AbortController();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    response.on("error", () => gone.abort());
    response.setHeader("docker-distribution-api-version", "registry/2.0");
    const exchange = new Exchange(request, response, AbortSignal.any([gone.signal, closing.signal]));
    try {
      await route(context, exchange);
    } catch (error) {
      exchange.fail(error);
    }
    options.onRequest?.({
      method: request.method ?? "",
      path: exchange.url.pathname,
      status: response.statusCode,
    });
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  // layers take as long as they take
  server.requestTimeout = 0;
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  const host = options.host ?? "127.0.0.1";
  server.once("error", (error) => reject(wrapErrno(error, "serve registry", `${host}:${options.port ?? 0}`)));
  server.listen(options.port ?? 0, host, resolve);
  await listening;
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    if (closing.signal.aborted) return;
    closing.abort();
    const closed = new Promise<void>((done) => server.close(() => done()));
    server.closeAllConnections();
    await closed;
    await context.blobs[Symbol.asyncDispose]();
  };
  options.signal?.addEventListener("abort", () => void close(), { once: true });
  return {
    address: `${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    close,
    [Symbol.asyncDispose]: close,
  };
}
