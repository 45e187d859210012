/** `gantry serve --metrics`: what Prometheus reads of real containers. */
import assert from "node:assert/strict";
import test from "node:test";
import { withBusybox } from "../cli/busybox.ts";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");

test("metrics tell of every container and of the engine, and end with serve", { skip, timeout: 60_000 }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "web", "-m", "64m", "busybox", "sleep", "1000"]);
    await box.must(["run", "--name", "job", "busybox", "true"]);
    const server = box.spawn(["serve", "--metrics", "127.0.0.1:0"]);
    let said = "";
    server.stderr?.on("data", (data: Buffer) => {
      said += data.toString();
    });
    const address = await until("serve to be ready", () => /metrics at (\S+)/.exec(said)?.[1]);
    const text = await (await fetch(address)).text();
    const value = (pattern: RegExp) => Number(pattern.exec(text)?.[1]);
    assert.equal(value(/^gantry_containers\{state="running"\} (\d+)$/m), 1);
    assert.equal(value(/^gantry_containers\{state="exited"\} (\d+)$/m), 1);
    assert.equal(value(/^gantry_container_memory_limit_bytes\{.*name="web".*\} (\d+)$/m), 64 * 2 ** 20);
    assert.equal(value(/^gantry_container_pids\{.*name="web".*\} (\d+)$/m), 1);
    assert.ok(value(/^gantry_container_cpu_seconds_total\{.*name="web".*\} ([\d.e-]+)$/m) > 0);
    assert.equal(value(/^gantry_container_restarts_total\{.*name="job".*\} (\d+)$/m), 0);
    assert.ok(value(/^gantry_engine_resident_memory_bytes (\d+)$/m) > 1e6);
    // each line is a comment or a sample
    for (const line of text.trimEnd().split("\n"))
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? \S+)$/);
    const over = ended(server);
    server.kill("SIGTERM");
    assert.equal(await over, 0);
    await assert.rejects(fetch(address));
    const refused = await box.gantry(["serve", "--metrics", "nowhere"]);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /invalid address for metrics "nowhere"/);
    await box.must(["rm", "-f", "web", "job"]);
  }),
);
