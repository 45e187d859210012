import assert from "node:assert/strict";
import test from "node:test";
import { isGantryError } from "../base/error.ts";
import type { RuntimeConfig } from "../spec/runtime-config.ts";
import { callerStreams, inheritedDescriptors, withListening, withNotifySocket } from "./caller-streams.ts";
import { parseFlags } from "./flags.ts";
import { launchFlags } from "./launch-container.ts";

const flagsOf = (...argv: string[]) => parseFlags(argv, launchFlags);
const explained = true;
/** /dev/tty, where nobody looks for a terminal. */
const controllingTerminal = 3;

test("a console goes to a socket or to the foreground, never to both or to neither", async () => {
  const streams = (terminal: boolean, detached: boolean, ...argv: string[]) =>
    callerStreams(flagsOf(...argv), terminal, detached, explained);
  const socket = ["--console-socket", "/run/c"];
  assert.deepEqual(await streams(true, true, ...socket), {
    consoleSocket: "/run/c",
    pidfdSocket: undefined,
    foregroundConsole: undefined,
  });
  assert.equal((await streams(true, false)).foregroundConsole, controllingTerminal);
  assert.equal((await streams(false, false)).foregroundConsole, undefined);
  const needed = /^cannot allocate tty if runc will detach without setting console socket$/;
  const unwanted = /^cannot use console socket if runc will not detach or allocate tty$/;
  const refused = (text: RegExp) => (error: Error) =>
    isGantryError(error, "invalid-argument") && text.test(error.message);
  await assert.rejects(streams(true, true), refused(needed));
  await assert.rejects(streams(true, false, ...socket), refused(unwanted));
  await assert.rejects(streams(false, true, ...socket), refused(unwanted));
});

test("paths of sockets are those of the caller's directory", async () => {
  const { pidfdSocket } = await callerStreams(flagsOf("--pidfd-socket", "p"), false, true, explained);
  assert.equal(pidfdSocket, `${process.cwd()}/p`);
});

test("a descriptor that is not there is named by its place among those asked for", () => {
  assert.deepEqual(inheritedDescriptors({}, flagsOf()), { count: 0, listening: 0 });
  assert.throws(
    () => inheritedDescriptors({}, flagsOf("--preserve-fds", "100000")),
    /^GantryError: unable to stat preserved-fd (\d+) \(of 100000\): stat \/proc\/self\/fd\/\d+: no such file or directory$/,
  );
  const listens = { LISTEN_FDS: "100000", LISTEN_PID: String(process.pid) };
  assert.throws(
    () => inheritedDescriptors(listens, flagsOf()),
    /unable to stat LISTEN_FDS \d+ \(of 100000\)/,
  );
});

test("sockets of a service manager count only for the process that they are meant for", () => {
  const count = (env: Record<string, string>) => inheritedDescriptors(env, flagsOf()).count;
  assert.equal(count({ LISTEN_FDS: "100000" }), 0);
  assert.equal(count({ LISTEN_FDS: "100000", LISTEN_PID: "1" }), 0);
  assert.equal(count({ LISTEN_FDS: "-1", LISTEN_PID: String(process.pid) }), 0);
  // started by the entry in C it is that one which the caller has started
  const entry = { LISTEN_FDS: "100000", GANTRY_PLAN_FD: "200" };
  assert.equal(count({ ...entry, LISTEN_PID: String(process.pid) }), 0);
  assert.throws(() => count({ ...entry, LISTEN_PID: String(process.ppid) }), /LISTEN_FDS/);
});

const config = { ociVersion: "1.3.0", process: { cwd: "/", env: ["A=1"] } } as RuntimeConfig;

test("LISTEN_FDS comes after what the config says, so that it holds", () => {
  const env = (listening: number) => withListening(config, { count: 5, listening }).process?.env;
  assert.deepEqual(env(2), ["A=1", "LISTEN_FDS=2"]);
  assert.deepEqual(env(0), ["A=1"]);
});

test("a service manager that waits gives the container a socket of its own", () => {
  assert.deepEqual(withNotifySocket({}, "/state", config, true), { config });
  const given = withNotifySocket({ NOTIFY_SOCKET: "/run/manager" }, "/state", config, false);
  assert.deepEqual(given.notify, {
    directory: "/state/notify",
    manager: "/run/manager",
    mainPid: undefined,
  });
  assert.deepEqual(given.config.process?.env, ["A=1", "NOTIFY_SOCKET=/run/notify/notify.sock"]);
  assert.deepEqual(given.config.mounts, [
    {
      destination: "/run/notify",
      source: "/state/notify",
      options: ["bind", "nosuid", "noexec", "nodev", "ro"],
    },
  ]);
  const { notify } = withNotifySocket({ NOTIFY_SOCKET: "@abstract" }, "/state", config, true);
  assert.equal(notify?.mainPid, process.pid);
});
