/** Bearer tokens: a token server of the distribution specification, played before our own registry. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { isGantryError } from "../../src/base/error.ts";
import { RegistryClient } from "../../src/registry/client.ts";
import type { Credentials } from "../../src/registry/credentials.ts";
import { serveRegistry } from "../../src/registry/server.ts";
import { parseReference } from "../../src/spec/reference.ts";
import { type FaultyProxy, startProxy } from "./proxy.ts";
import { pushRandom } from "./samples.ts";
import { pull, quickRetries, storesAt, withFolder } from "./stores.ts";

interface TokenCall {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
}

interface Scene {
  readonly folder: string;
  readonly proxy: FaultyProxy;
  readonly name: string;
  readonly calls: readonly TokenCall[];
  /** Tokens given out so far count no longer. */
  expire(): void;
}

const basic = `Basic ${Buffer.from("me:secret").toString("base64")}`;
const password = async (): Promise<Credentials> => ({ kind: "password", username: "me", password: "secret" });

/** A registry that wants a token; the token server wants `admit` to be true. */
async function scene(
  admit: (call: TokenCall) => boolean,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    await using server = await serveRegistry({ root: join(folder, "registry") });
    await pushRandom(`${server.address}/team/app:1`, [1000, 1000]);
    const calls: TokenCall[] = [];
    let valid = new Set<string>();
    const tokens = createServer((request, response) => {
      const url = new URL(request.url ?? "/", "http://tokens");
      let text = "";
      request.on("data", (chunk: Buffer) => {
        text += chunk;
      });
      request.on("end", () => {
        const query = request.method === "POST" ? new URLSearchParams(text) : url.searchParams;
        const call = { method: request.method ?? "", query, authorization: request.headers.authorization };
        calls.push(call);
        if (!admit(call)) {
          response.writeHead(401, { "content-type": "application/json" });
          response.end('{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}');
          return;
        }
        const token = `token-${calls.length}`;
        valid.add(token);
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify(calls.length % 2 ? { token, expires_in: 300 } : { access_token: token }));
      });
    });
    await new Promise<void>((resolve) => tokens.listen(0, "127.0.0.1", resolve));
    const realm = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`;
    try {
      await using proxy = await startProxy(server.address, ({ headers }, response) => {
        const token = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
        if (token !== undefined && valid.has(token)) return false;
        response.writeHead(401, {
          "www-authenticate": `Bearer realm="${realm}",service="test",scope="repository:team/app:pull"`,
        });
        response.end();
        return true;
      });
      const expire = () => {
        valid = new Set();
      };
      await body({ folder, proxy, name: `${proxy.host}/team/app:1`, calls, expire });
    } finally {
      tokens.closeAllConnections();
      tokens.close();
    }
  });
}

test("an anonymous token is fetched once and used for everything", async () =>
  await scene(
    () => true,
    async ({ folder, name, calls }) => {
      await pull(storesAt(join(folder, "store")), name);
      assert.equal(calls.length, 1);
      assert.equal(calls[0]?.authorization, undefined);
      assert.equal(calls[0]?.query.get("service"), "test");
      assert.equal(calls[0]?.query.get("scope"), "repository:team/app:pull");
    },
  ));

test("credentials go to the token server, never to the registry", async () =>
  await scene(
    ({ authorization }) => authorization === basic,
    async ({ folder, name, calls, proxy }) => {
      await pull(storesAt(join(folder, "store")), name, { credentials: password });
      assert.equal(calls[0]?.query.get("account"), "me");
      assert.ok(proxy.seen.every(({ headers }) => headers.authorization !== basic));
    },
  ));

test("an identity token is exchanged by POST", async () =>
  await scene(
    ({ query }) => query.get("refresh_token") === "long-lived",
    async ({ folder, name, calls }) => {
      const credentials = async (): Promise<Credentials> => ({ kind: "identity-token", token: "long-lived" });
      await pull(storesAt(join(folder, "store")), name, { credentials });
      assert.deepEqual([calls[0]?.method, calls[0]?.query.get("grant_type")], ["POST", "refresh_token"]);
    },
  ));

test("wrong credentials are unauthenticated in the token server's words, without retries", async () =>
  await scene(
    () => false,
    async ({ folder, name, calls }) => {
      await assert.rejects(
        pull(storesAt(join(folder, "store")), name, { credentials: password }),
        (error) =>
          isGantryError(error, "unauthenticated") &&
          /incorrect username or password/.test(error.message) &&
          !error.message.includes("secret"),
      );
      assert.equal(calls.length, 2, "one for HEAD and one for GET, which tells the reason");
    },
  ));

test("a token that the registry no longer takes is replaced, once for all who wait", async () =>
  await scene(
    () => true,
    async ({ name, calls, expire }) => {
      using client = new RegistryClient({ retry: quickRetries });
      const reference = parseReference(name);
      await client.resolve(reference);
      expire();
      await Promise.all([client.resolve(reference), client.resolve(reference), client.resolve(reference)]);
      assert.ok(calls.length >= 2 && calls.length <= 4);
      const before = calls.length;
      await client.resolve(reference);
      assert.equal(calls.length, before);
    },
  ));

test("a registry that takes no token at all is unauthenticated, not a loop", async () =>
  await scene(
    () => true,
    async ({ folder, name, expire, calls }) => {
      const timer = setInterval(expire, 0);
      try {
        await withRefusal(async () => {
          await pull(storesAt(join(folder, "store")), name);
        });
      } finally {
        clearInterval(timer);
      }
      assert.ok(calls.length < 20);
    },
  ));

/** Tokens run out at any moment: a pull may slip through, but a failure must be of this kind. */
async function withRefusal(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    assert.ok(isGantryError(error, "unauthenticated"), String(error));
  }
}
