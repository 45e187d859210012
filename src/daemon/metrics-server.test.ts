import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { parseMetricsAddress, serveMetrics } from "./metrics-server.ts";

const metrics = async () => [{ name: "up", help: "Up.", kind: "gauge" as const, samples: [{ value: 1 }] }];

test("addresses are HOST:PORT or a unix socket, and nothing else", () => {
  assert.deepEqual(parseMetricsAddress("127.0.0.1:9323"), { host: "127.0.0.1", port: 9323 });
  assert.deepEqual(parseMetricsAddress("tcp://[::1]:1"), { host: "::1", port: 1 });
  assert.deepEqual(parseMetricsAddress("unix:///run/x.sock"), { path: "/run/x.sock" });
  for (const bad of ["", "9323", ":9323", "host", "host:", "host:99999", "unix://x", "a:b:1", "h:1/x"])
    assert.throws(() => parseMetricsAddress(bad), /invalid address for metrics/, bad);
});

test("GET /metrics is answered, other places and methods are refused", async () => {
  await using server = await serveMetrics({ host: "127.0.0.1", port: 0 }, metrics, () => {});
  const good = await fetch(server.address);
  assert.equal(await good.text(), "# HELP up Up.\n# TYPE up gauge\nup 1\n");
  assert.match(good.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  assert.equal((await fetch(server.address.replace("/metrics", "/"))).status, 404);
  assert.equal((await fetch(server.address, { method: "POST" })).status, 405);
  assert.equal(await (await fetch(server.address, { method: "HEAD" })).text(), "");
});

test("a look that fails is 500, and told to who serves", async () => {
  const told: unknown[] = [];
  const fail = async () => {
    throw new Error("no");
  };
  await using server = await serveMetrics({ host: "127.0.0.1", port: 0 }, fail, (error) => told.push(error));
  assert.equal((await fetch(server.address)).status, 500);
  assert.equal(told.length, 1);
});

test("a socket that a killed process has left is taken over, any other file is not", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-metrics-"));
  try {
    const path = join(dir, "socket");
    for (let round = 0; round < 2; round++) {
      await using server = await serveMetrics({ path }, metrics, () => {});
      assert.equal(server.address, `unix://${path}`);
      assert.match(await overSocket(path), /^up 1$/m);
    }
    writeFileSync(path, "mine");
    await assert.rejects(
      serveMetrics({ path }, metrics, () => {}),
      /listen for metrics/,
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});

function overSocket(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: "/metrics", agent: false }, (response) => {
      let text = "";
      response.on("data", (data: Buffer) => {
        text += data.toString();
      });
      response.on("end", () => resolve(text));
    });
    call.on("error", reject);
    call.end();
  });
}
