/** Golden plans of containers, and of further processes in them, that another OCI runtime makes. */
import { compileForeign } from "../../src/plan/compile/foreign.ts";
import { compileForeignExec } from "../../src/plan/compile/foreign-exec.ts";
import type { EngineMode, ForeignRuntime } from "../../src/plan/compile/request.ts";
import { runtimeConfig } from "../../src/spec/runtime-config.ts";
import type { GoldenCase } from "./cases.ts";
import { v2Host } from "./hosts.ts";

const id = "c0ffee";
const runtime: ForeignRuntime = {
  path: "/usr/bin/crun",
  root: "/run/gantry/runtimes/crun",
  env: ["PATH=/usr/bin"],
};
const state = `/run/gantry/containers/${id}`;
const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];

const engine: EngineMode = {
  kind: "engine",
  root: { kind: "overlay", lower: ["/layers/1"], upper: "/snap/upper", work: "/snap/work" },
  stdin: true,
  state,
  log: { format: "json", path: `/var/lib/gantry/containers/${id}/log.json`, limitBytes: 0, files: 1 },
  stopSignal: 15,
  network: false,
  sources: new Map([
    ["/image", { lower: ["/layers/8", "/layers/7"] }],
    ["/part", { below: "a/b" }],
    ["/mem", { held: { number: 600, from: { pid: 41, start: 6, number: 601 } } }],
    ["/mem-part", { held: { number: 602 }, below: "a" }],
  ]),
  runtime,
};

interface Asked {
  readonly terminal?: boolean;
  readonly users?: boolean;
  readonly mounts?: readonly object[];
}

function configOf({ terminal = false, users = false, mounts = [] }: Asked) {
  const types = ["mount", "pid", ...(users ? ["user"] : [])];
  return runtimeConfig(
    {
      ociVersion: "1.3.0",
      root: { path: "rootfs" },
      process: { cwd: "/", args: ["true"], env: ["PATH=/bin"], terminal },
      mounts,
      linux: {
        cgroupsPath: `/gantry/${id}`,
        namespaces: types.map((type) => ({ type })),
        ...(users ? { uidMappings: ids, gidMappings: ids } : {}),
      },
    },
    "",
  );
}

const request = (asked: Asked) => ({
  ...{ id, config: configOf(asked), bundle: "/bundle", facts: v2Host, filter: undefined },
});

function start(name: string, asked: Asked): GoldenCase {
  return { name, compile: (warn) => compileForeign({ ...request(asked), mode: engine, warn }).plan };
}

function exec(name: string, asked: Asked): GoldenCase {
  const shim = { state: `${state}/execs/e`, detached: false, stdin: true, record: {} };
  const mode = { kind: "exec", init: { pid: 42, start: 7 }, cgroups: [], foreground: false, shim } as const;
  return { name, compile: (warn) => compileForeignExec({ ...request(asked), mode, warn }, runtime) };
}

const bind = (destination: string, source: string, ...options: readonly string[]) => ({
  ...{ destination, source, type: "bind", options: ["bind", ...options] },
});

const tmpfs = (destination: string, ...options: readonly string[]) => ({
  ...{ destination, source: "tmpfs", type: "tmpfs", options: ["size=1m", ...options] },
});

export const runtimeCases: readonly GoldenCase[] = [
  start("runtime-plain", { mounts: [bind("/data", "/srv/data")] }),
  start("runtime-terminal", { terminal: true }),
  start("runtime-lent-mounts", {
    mounts: [bind("/image", "/image", "ro"), bind("/data", "/srv/data"), bind("/part", "/srv/volume")],
  }),
  start("runtime-held-mounts", { mounts: [tmpfs("/mem", "ro"), tmpfs("/mem-part")] }),
  start("runtime-user-namespace", {
    users: true,
    mounts: [bind("/etc/hosts", "/srv/hosts"), bind("/data", "/srv/data", "idmap"), tmpfs("/mem")],
  }),
  exec("runtime-exec", {}),
  exec("runtime-exec-terminal-user-namespace", { terminal: true, users: true }),
];
