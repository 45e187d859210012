/**
 * Stands between a runtime and systemd: passes bytes on, and at the call StartTransientUnit does what a test wants.
 *
 *     bun hold-systemd.ts SOCKET SYSTEMD before|after COMMAND
 *
 * `before`: runs COMMAND before systemd hears of the call, `after`: when it has answered, before the runtime hears
 * of that.
 */
import { spawnSync } from "node:child_process";
import { connect, createServer } from "node:net";

const [listen = "", systemd = "", moment = "", command = ""] = process.argv.slice(2);

createServer((runtime) => {
  const peer = connect(systemd);
  let called = false;
  let done = false;
  const act = () => {
    done = true;
    spawnSync("sh", ["-c", command], { stdio: "inherit" });
  };
  runtime.on("data", (chunk) => {
    if (chunk.includes("StartTransientUnit")) called = true;
    if (called && !done && moment === "before") act();
    peer.write(chunk);
  });
  peer.on("data", (chunk) => {
    if (called && !done && moment === "after") act();
    runtime.write(chunk);
  });
  for (const [one, other] of [
    [runtime, peer],
    [peer, runtime],
  ] as const) {
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
}).listen(listen, () => console.log("ready"));
