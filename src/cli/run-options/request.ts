/** The values of the command line -> what the engine is asked for. */
import { readFileSync } from "node:fs";
import { wrapErrno } from "../../base/error.ts";
import type { MountOption } from "../../bundle/container-options.ts";
import type { CreateRequest } from "../../engine/containers/create.ts";
import type { PullPolicy } from "../../images/pull-options.ts";
import { UsageError, type ValuesOf } from "../options.ts";
import { gatherEnvironment, gatherLabels } from "./environment.ts";
import { resourceRequest } from "./limit-table.ts";
import type { createOptions } from "./table.ts";

export type CreateValues = ValuesOf<typeof createOptions>;

/** Leaves out what was not given, so that the engine's defaults count. */
function given<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

function some<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length > 0 ? items : undefined;
}

export function createRequest(values: CreateValues, positionals: readonly string[]): CreateRequest {
  const [image = "", ...command] = positionals;
  const labels = gatherLabels(values["label-file"], values.label);
  return given({
    image,
    command: some(command),
    entrypoint: values.entrypoint === undefined ? undefined : [values.entrypoint],
    env: some(gatherEnvironment(values["env-file"], values.env)),
    workingDirectory: values.workdir,
    user: values.user,
    groupAdd: some(values["group-add"]),
    hostname: values.hostname,
    domainname: values.domainname,
    mounts: some([...withDriver(values.volume, values["volume-driver"]), ...values.mount, ...values.tmpfs]),
    volumesFrom: some(values["volumes-from"]),
    readOnly: values["read-only"] || undefined,
    ...resourceRequest(values),
    oomKillDisable: values["oom-kill-disable"] || undefined,
    oomScoreAdj: values["oom-score-adj"],
    ...deviceRequest(values),
    cgroupParent: values["cgroup-parent"],
    dns: some(values.dns),
    dnsSearch: some(values["dns-search"]),
    dnsOptions: some([...values["dns-option"], ...values["dns-opt"]]),
    extraHosts: some(values["add-host"]),
    annotations: values.annotation.length > 0 ? Object.fromEntries(values.annotation) : undefined,
    exposedPorts: some(values.expose.flat()),
    shmSizeBytes: values["shm-size"],
    ulimits: some(values.ulimit),
    network: values.network ?? values.net,
    pid: values.pid,
    ipc: values.ipc,
    uts: values.uts,
    cgroupNamespace: namespace(values.cgroupns),
    userNamespace: values.userns,
    capAdd: some(values["cap-add"]),
    capDrop: some(values["cap-drop"]),
    privileged: values.privileged || undefined,
    securityOpt: some(values["security-opt"].map(securityOption)),
    sysctls: values.sysctl.length > 0 ? Object.fromEntries(values.sysctl) : undefined,
    labels: Object.keys(labels).length > 0 ? labels : undefined,
    init: values.init || undefined,
    name: values.name,
    pod: values.pod,
    runtime: values.runtime,
    autoRemove: values.rm || undefined,
    stdin: values.interactive || undefined,
    terminal: values.tty || undefined,
    stopSignal: values["stop-signal"],
    stopTimeoutSeconds: values["stop-timeout"],
    health: healthOf(values),
    restartPolicy: restartOf(values),
    pull: values.pull as PullPolicy | undefined,
    platform: values.platform,
    log: logOptions(values),
  });
}

function healthOf(values: CreateValues): CreateRequest["health"] {
  const asked = given({
    command: values["health-cmd"],
    intervalMs: values["health-interval"],
    timeoutMs: values["health-timeout"],
    startPeriodMs: values["health-start-period"],
    startIntervalMs: values["health-start-interval"],
    retries: values["health-retries"],
  });
  const some = Object.keys(asked).length > 0;
  if (!values["no-healthcheck"]) return some ? asked : undefined;
  if (some) throw new UsageError("--no-healthcheck conflicts with --health-* options");
  return { none: true };
}

function restartOf({ restart, rm }: CreateValues): CreateRequest["restartPolicy"] {
  if (restart === undefined || restart.name === "no") return undefined;
  if (rm) throw new UsageError("conflicting options: cannot specify both --restart and --rm");
  return restart;
}

function deviceRequest(values: CreateValues) {
  const byPath = values.device.filter((device) => !("cdi" in device));
  const named = values.device.flatMap((device) => ("cdi" in device ? [device.cdi] : []));
  return {
    devices: some(byPath) as CreateRequest["devices"],
    deviceCgroupRules: some(values["device-cgroup-rule"]),
    cdiDevices: some(named),
    gpus: values.gpus,
  };
}

/** `--volume-driver` is for the volumes that `-v` names. */
function withDriver(mounts: readonly MountOption[], driver: string | undefined): readonly MountOption[] {
  if (driver === undefined) return mounts;
  return mounts.map((mount) => (mount.kind === "volume" ? { ...mount, driver } : mount));
}

function namespace(value: string | undefined): "private" | "host" | undefined {
  return value as "private" | "host" | undefined;
}

/** The engine takes a profile itself, not the name of a file that only this client can see. */
function securityOption(option: string): string {
  const match = /^seccomp[=:](.*)$/s.exec(option);
  const path = match?.[1];
  if (path === undefined || path === "unconfined" || path === "builtin" || path.trimStart().startsWith("{"))
    return option;
  try {
    return `seccomp=${readFileSync(path, "utf8")}`;
  } catch (error) {
    throw wrapErrno(error, "opening seccomp profile", path);
  }
}

function logOptions(values: CreateValues): CreateRequest["log"] {
  const driver = values["log-driver"];
  const options = values["log-opt"];
  if (driver === undefined && options.length === 0) return undefined;
  if (driver === "none" && options.length > 0) throw new UsageError("invalid logging opts for driver none");
  return { driver, options: Object.fromEntries(options) };
}
