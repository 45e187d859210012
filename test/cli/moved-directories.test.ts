/** Directories of the image that a container has moved, where overlay keeps a redirect instead of a copy. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Engine } from "../../src/index.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { must } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { withBusybox } from "./busybox.ts";

const follows = "/sys/module/overlay/parameters/redirect_always_follow";
const skip = needs("root", "setfattr");

const ids = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
const userNamespaces = { no: undefined, "a user": { uidMappings: ids, gidMappings: ids } };

/** Directories of two names, which differ in an owner alone. */
async function makeImage(box: Sandbox): Promise<void> {
  const script = [
    "mkdir -p /from/same /from/owned /to/same /to/owned /to/gone; echo x > /from/file",
    "chown 5:6 /from/* /to/*; chown 7:6 /from/owned; touch -d @1000 /from/* /to/*",
  ];
  await box.must(["run", "--name", "maker", "busybox", "sh", "-c", script.join("; ")]);
  await box.must(["commit", "maker", "moving"]);
  await box.must(["rm", "maker"]);
}

/** As the kernel writes `rm -r /to; mv /from /to` down with redirect_dir=on, which is no default everywhere. */
async function move(box: Sandbox, id: string): Promise<void> {
  const upper = join(box.root, "snapshots/active", id, "fs");
  mkdirSync(join(upper, "to"));
  await must(["setfattr", "-n", "trusted.overlay.redirect", "-v", "/from", join(upper, "to")]);
  await must(["mknod", join(upper, "from"), "c", "0", "0"]);
}

for (const [kind, userNamespace] of Object.entries(userNamespaces))
  for (const running of [true, false])
    test(
      `diff and commit of a ${running ? "running" : "stopped"} container with ${kind} namespace tell what differs in a directory that was moved`,
      {
        skip: skip || (readFileSync(follows, "utf8").startsWith("Y") ? false : `needs ${follows}`),
      },
      () =>
        withBusybox(async (box) => {
          await makeImage(box);
          await using engine = await Engine.open({
            root: box.root,
            state: box.state,
            executor: findExecutor(),
          });
          const container = await engine.create({
            image: "moving",
            command: ["sleep", "1000"],
            ...(userNamespace ? { userNamespace } : {}),
          });
          await move(box, container.id);
          if (running) await container.start();
          assert.deepEqual(
            (await box.must(["diff", container.id]))
              .split("\n")
              .filter((line) => !/ \/(dev|etc|proc|sys)/.test(line)),
            ["D /from", "C /to", "A /to/file", "D /to/gone", "C /to/owned"],
          );
          await box.must(["commit", container.id, "moved"]);
          const seen = await box.must([
            ...["run", "--rm", "moved", "sh", "-c"],
            "stat -c '%n %u:%g' /to/*; cat /to/file; test ! -e /from",
          ]);
          assert.equal(seen, "/to/file 5:6\n/to/owned 7:6\n/to/same 5:6\nx");
          await container.remove({ force: true });
        }),
    );
