/** Health checks: made by whoever keeps the store, and by nobody else. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { withBusybox } from "../cli/busybox.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

const skip = needs("root");
const timeout = 120_000;
const fast = ["--health-interval", "100ms", "--health-retries", "2"];

const member = (box: Sandbox, text: string) => box.must(["inspect", "-f", text, "web"]);
const health = (box: Sandbox) => member(box, "{{.State.Health.Status}}");

/** A container that is well while the file `well` is there. */
async function runWeb(box: Sandbox, ...flags: readonly string[]): Promise<void> {
  const check = ["--health-cmd", "echo asked; test -e /box/well", ...fast, ...flags];
  await box.must([
    "run",
    "-d",
    "--name",
    "web",
    "-v",
    `${box.dir}:/box`,
    ...check,
    "busybox",
    "sleep",
    "1000",
  ]);
}

test(
  "healthy, unhealthy and healthy again, as its command says; nobody else need look",
  { skip, timeout },
  () =>
    withBusybox(async (box) => {
      writeFileSync(join(box.dir, "well"), "");
      await runWeb(box);
      await until("it to be healthy", async () => (await health(box)) === "healthy", 30_000);
      assert.match(await box.must(["ps", "--format", "{{.Status}}"]), /^Up .* \(healthy\)$/);
      assert.equal(await box.must(["ps", "-q", "--filter", "health=unhealthy"]), "");
      rmSync(join(box.dir, "well"));
      await until("it to be unhealthy", async () => (await health(box)) === "unhealthy", 30_000);
      assert.match(await box.must(["ps", "--format", "{{.Status}}"]), /^Up .* \(unhealthy\)$/);
      const log = JSON.parse(await member(box, "{{json .State.Health.Log}}")) as {
        ExitCode: number;
        Output: string;
      }[];
      // at least one success and two failures, and no more than are kept
      assert.ok(log.length >= 3 && log.length <= 5, String(log.length));
      assert.deepEqual([log.at(-1)!.ExitCode, log.at(-1)!.Output], [1, "asked\n"]);
      writeFileSync(join(box.dir, "well"), "");
      await until("it to be healthy again", async () => (await health(box)) === "healthy", 30_000);
      assert.equal(await member(box, "{{.State.Health.FailingStreak}}"), "0");
      const range = ["--since", "1h", "--until", "0s", "--filter", "event=health_status"];
      assert.equal(
        await box.must(["events", ...range, "--format", "{{.Action}}"]),
        ["healthy", "unhealthy", "healthy"].map((status) => `health_status: ${status}`).join("\n"),
      );
      await box.must(["stop", "-t", "0", "web"]);
      // who kept the store for its sake ends with it
      await until(
        "nobody to be left",
        async () => (await box.leftovers(0)).every(({ kind }) => kind !== "process"),
        30_000,
      );
      await box.must(["rm", "web"]);
    }),
);

test("a probe that takes too long is killed, and a failure", { skip, timeout }, () =>
  withBusybox(async (box) => {
    const check = ["--health-cmd", "sleep 1000", ...fast, "--health-timeout", "200ms"];
    await box.must(["run", "-d", "--name", "web", ...check, "busybox", "sleep", "1000"]);
    await until("it to be unhealthy", async () => (await health(box)) === "unhealthy", 30_000);
    const output = await member(
      box,
      "{{(index .State.Health.Log 0).Output}} {{(index .State.Health.Log 0).ExitCode}}",
    );
    assert.equal(output, "Health check exceeded timeout (0.2s) -1");
    await box.must(["rm", "-f", "web"]);
  }),
);

test("failures of the start period do not count; a paused container is not asked", { skip, timeout }, () =>
  withBusybox(async (box) => {
    await runWeb(box, "--health-start-period", "1h", "--health-start-interval", "50ms");
    const probes = async () => Number(await member(box, "{{len .State.Health.Log}}"));
    await until("some probes", async () => (await probes()) === 5, 30_000);
    assert.equal(await member(box, "{{.State.Health.Status}} {{.State.Health.FailingStreak}}"), "starting 0");
    assert.match(await box.must(["ps", "--format", "{{.Status}}"]), /^Up .* \(health: starting\)$/);
    await box.must(["pause", "web"]);
    await box.must(["unpause", "web"]);
    writeFileSync(join(box.dir, "well"), "");
    await until("it to be healthy", async () => (await health(box)) === "healthy", 30_000);
    await box.must(["rm", "-f", "web"]);
  }),
);

test(
  "the check of an image counts, unless it is switched off or another is asked for",
  { skip, timeout },
  () =>
    withBusybox(async (box) => {
      await box.must([
        "run",
        "-d",
        "--name",
        "web",
        "--health-cmd",
        "true",
        ...fast,
        "busybox",
        "sleep",
        "1000",
      ]);
      const shown = JSON.parse(await member(box, "{{json .Config.Healthcheck}}")) as unknown;
      assert.deepEqual(shown, {
        Test: ["CMD-SHELL", "true"],
        Interval: 100e6,
        Timeout: 30e9,
        StartPeriod: 0,
        StartInterval: 5e9,
        Retries: 2,
      });
      await box.must(["rm", "-f", "web"]);
      const refused = await box.gantry([
        "run",
        "--no-healthcheck",
        "--health-cmd",
        "true",
        "busybox",
        "true",
      ]);
      assert.match(refused.stderr, /--no-healthcheck conflicts with --health-\* options/);
      const none = await box.must([
        "run",
        "-d",
        "--name",
        "web",
        "--no-healthcheck",
        "busybox",
        "sleep",
        "1000",
      ]);
      assert.match(none, /^[0-9a-f]{64}$/);
      assert.equal(await member(box, "{{json .State}}").then((text) => text.includes("Health")), false);
      await box.must(["rm", "-f", "web"]);
    }),
);
