import assert from "node:assert/strict";
import test from "node:test";
import type { ContainerSummary } from "../engine/containers/list.ts";
import type { EngineEvent } from "../engine/events.ts";
import type { PullEvent } from "../images/progress.ts";
import { findCommand, secondWords } from "./catalog.ts";
import { parseListen } from "./commands/registry-serve.ts";
import { ellipsis, statusText } from "./container-columns.ts";
import { matchesContainer } from "./container-filter.ts";
import { matchesEvent } from "./event-filter.ts";
import { sanitize } from "./format/sanitize.ts";
import { parseChanges } from "./import-changes.ts";
import { bar, pullProgress } from "./pull-progress.ts";

const summary = (more: Partial<ContainerSummary>): ContainerSummary => ({
  ...{ id: "a".repeat(64), name: "web", image: "busybox", imageId: "sha256:abc", args: ["sh"], labels: {} },
  ...{ createdAt: "2026-01-01T00:00:00Z", status: "created", record: recordOf() },
  ...more,
});

const recordOf = (...sources: readonly string[]) =>
  ({
    options: { mounts: sources.map((source) => ({ kind: "bind", source, target: "/t" })) },
  }) as unknown as ContainerSummary["record"];

test("commands are found by one word, by two, and by docker's longer names", () => {
  assert.deepEqual(findCommand(["run", "busybox"]), { name: "run", args: ["busybox"] });
  assert.deepEqual(findCommand(["container", "ls", "-a"]), { name: "ps", args: ["-a"] });
  assert.deepEqual(findCommand(["registry", "serve"]), { name: "registry serve", args: [] });
  assert.deepEqual(findCommand(["image", "inspect", "x"]), {
    ...{ name: "inspect", args: ["--type", "image", "x"] },
  });
  assert.equal(findCommand(["constructor"]), undefined);
  assert.equal(findCommand(["registry"]), undefined);
  assert.deepEqual(secondWords("registry"), ["serve"]);
});

test("the status of a container is told in docker's words", () => {
  const now = new Date("2026-01-01T00:10:00Z");
  assert.equal(statusText(summary({}), now), "Created");
  assert.equal(
    statusText(summary({ status: "running", startedAt: "2026-01-01T00:05:00Z" }), now),
    "Up 5 minutes",
  );
  const ended = summary({ status: "exited", exitCode: 137, finishedAt: "2026-01-01T00:09:57Z" });
  assert.equal(statusText(ended, now), "Exited (137) 3 seconds ago");
  assert.equal(ellipsis("a command that is long", 10), "a command…");
});

test("filters: one key's values are alternatives, labels add up", () => {
  const containers = [
    summary({ name: "web", labels: { a: "1", b: "2" }, status: "running", record: recordOf("/data") }),
    summary({ id: "b".repeat(64), name: "database", labels: { a: "1" }, status: "exited", exitCode: 3 }),
  ];
  const names = (...filters: string[]) =>
    containers.filter(matchesContainer(filters, containers)).map(({ name }) => name);
  assert.deepEqual(names("label=a", "label=b=2"), ["web"]);
  assert.deepEqual(names("status=running", "status=exited"), ["web", "database"]);
  assert.deepEqual(names("name=/web"), ["web"]);
  assert.deepEqual(names("name=^data"), ["database"]);
  assert.deepEqual(names("exited=3"), ["database"]);
  assert.deepEqual(names("id=bbb"), ["database"]);
  assert.deepEqual(names("network=none", "volume=/data"), ["web"]);
  assert.deepEqual(names("health=none", "health=healthy"), ["web", "database"]);
  for (const bad of [
    "x",
    "=x",
    "health=fine",
    "color=red",
    "status=happy",
    "exited=x",
    "before=ghost",
    "name=(",
  ])
    assert.throws(() => names(bad), /filter|No such container/, bad);
});

test("events are told by type, action, container, image and labels", () => {
  const event = (kind: "container" | "image", action: "die" | "start" | "pull", more = {}): EngineEvent => ({
    ...{ kind, action, id: kind === "image" ? "app:1" : "abc", time: "2026-01-01T00:00:00Z" },
    attributes: kind === "image" ? { name: "app:1" } : { name: "web", image: "app:1", ...more },
  });
  const all = [event("container", "start"), event("container", "die", { team: "a" }), event("image", "pull")];
  const told = (...filters: string[]) => all.filter(matchesEvent(filters)).map(({ action }) => action);
  assert.deepEqual(told(), ["start", "die", "pull"]);
  assert.deepEqual(told("type=image"), ["pull"]);
  assert.deepEqual(told("event=die", "event=pull"), ["die", "pull"]);
  assert.deepEqual(told("container=web", "event=die"), ["die"]);
  assert.deepEqual(told("container=ab"), ["start", "die"]);
  assert.deepEqual(told("image=app:1"), ["start", "die", "pull"]);
  assert.deepEqual(told("label=team=a"), ["die"]);
  assert.throws(() => told("color=red"), /invalid filter 'color'/);
});

test("triggers and health checks are instructions as well", () => {
  assert.deepEqual(
    parseChanges(["ONBUILD RUN make", "HEALTHCHECK --interval=5s --retries=2 CMD wget -q localhost"]),
    {
      OnBuild: ["RUN make"],
      Healthcheck: { Interval: 5e9, Retries: 2, Test: ["CMD-SHELL", "wget -q localhost"] },
    },
  );
  const health = (text: string) => parseChanges([`HEALTHCHECK ${text}`]).Healthcheck;
  assert.deepEqual(health("NONE"), { Test: ["NONE"] });
  assert.deepEqual(health('--start-period=1m CMD ["a", "b", "c"]'), {
    StartPeriod: 6e10,
    Test: ["CMD", "a", "b", "c"],
  });
  assert.deepEqual(health('CMD ["a"]'), { Test: ["CMD", "a"] });
  for (const bad of ["x", "--color=red CMD x", "CMD", "--retries=many CMD x"])
    assert.throws(() => health(bad), bad);
});

test("Dockerfile instructions of import become the image's execution part", () => {
  assert.deepEqual(
    parseChanges([
      'CMD ["a", "b"]',
      "ENTRYPOINT run it",
      'ENV A=1 B="two words" C=x\\ y',
      "ENV OLD old form",
    ]),
    {
      Cmd: ["a", "b"],
      Entrypoint: ["/bin/sh", "-c", "run it"],
      Env: ["A=1", "B=two words", "C=x y", "OLD=old form"],
    },
  );
  assert.deepEqual(
    parseChanges([
      "EXPOSE 80 53/udp",
      "LABEL a=b",
      "USER me",
      "WORKDIR /w",
      "STOPSIGNAL INT",
      "VOLUME /data",
    ]),
    {
      ...{ ExposedPorts: { "80/tcp": {}, "53/udp": {} }, Labels: { a: "b" }, User: "me", WorkingDir: "/w" },
      ...{ StopSignal: "INT", Volumes: { "/data": {} } },
    },
  );
  for (const bad of ["RUN x", "CMD", "", "ENV NOVALUE"])
    assert.throws(() => parseChanges([bad]), /change|value/, bad);
});

test("a listening address is a port with or without a host", () => {
  assert.deepEqual(parseListen("5000"), { host: "127.0.0.1", port: 5000 });
  assert.deepEqual(parseListen(":0"), { host: "127.0.0.1", port: 0 });
  assert.deepEqual(parseListen("[::1]:5000"), { host: "::1", port: 5000 });
  for (const bad of ["", "host", "1:99999", "x:y"]) assert.throws(() => parseListen(bad), /PORT/, bad);
});

const layer = { mediaType: "x", digest: `sha256:${"c".repeat(64)}`, size: 4_000_000 } as never;
const events: readonly PullEvent[] = [
  { kind: "resolving", repository: "busybox", reference: "busybox:latest" },
  { kind: "layer", phase: "Pulling fs layer", layer, index: 0 },
  { kind: "layer", phase: "Downloading", layer, index: 0, current: 1_000_000, total: 4_000_000 },
  { kind: "layer", phase: "Downloading", layer, index: 0, current: 2_000_000, total: 4_000_000 },
  { kind: "layer", phase: "Retrying", layer, index: 0, reason: "connection reset" },
  { kind: "layer", phase: "Pull complete", layer, index: 0 },
  { kind: "warning", message: "slow\x1b[2J" },
  { kind: "digest", digest: `sha256:${"d".repeat(64)}` as never },
  { kind: "status", changed: true, reference: "busybox:latest" },
];

function show(terminal: boolean): string {
  let text = "";
  const progress = pullProgress({ terminal, columns: 120, write: (more) => (text += more) });
  for (const event of events) progress.onEvent(event);
  progress.finish();
  return text;
}

test("without a terminal a pull is one line for each step of each layer", () => {
  assert.deepEqual(show(false).trimEnd().split("\n"), [
    "latest: Pulling from library/busybox",
    "cccccccccccc: Pulling fs layer",
    "cccccccccccc: Downloading",
    "cccccccccccc: Retrying: connection reset",
    "cccccccccccc: Pull complete",
    "WARNING: slow\\x1b[2J",
    `Digest: sha256:${"d".repeat(64)}`,
    "Status: Downloaded newer image for busybox:latest",
  ]);
});

test("on a terminal bars are redrawn in place", () => {
  const text = show(true);
  assert.ok(text.includes("\x1b[1A"), "the cursor goes up over the block");
  assert.ok(text.includes(`cccccccccccc: Downloading  ${bar(1_000_000, 4_000_000)}`));
  assert.ok(!text.includes("\x1b[2J"), "foreign text is made harmless");
  assert.equal(bar(1_000_000, 4_000_000), `[${"=".repeat(12)}>${" ".repeat(37)}]  1MB/4MB`);
  assert.equal(bar(4, 4), `[${"=".repeat(49)}>]  4B/4B`);
});

test("control characters are shown, not obeyed", () => {
  assert.equal(sanitize("a\x1b[31m\nb\tc\x7f\u009b", "\n\t"), "a\\x1b[31m\nb\tc\\x7f\\x9b");
});
