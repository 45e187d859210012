/** A container in the form that docker's inspect has, for all the scripts that read it. Pure. */
import { posix } from "node:path";
import type { ContainerOptions, MountOption } from "../bundle/container-options.ts";
import type { Health, HealthCheck } from "../engine/containers/health-check.ts";
import type { ContainerInspection } from "../engine/containers/inspect.ts";
import { isRestarting } from "../engine/containers/restart-policy.ts";
import { signalName } from "../linux/signals.ts";
import { asMap } from "./format/template.ts";

const never = "0001-01-01T00:00:00Z";

export function inspectContainerView(inspection: ContainerInspection) {
  const { record, runtimeConfig, paths } = inspection;
  const etc = (name: string) =>
    runtimeConfig.mounts?.find(({ destination }) => destination === `/etc/${name}`)?.source ?? "";
  return {
    Id: record.id,
    Created: record.createdAt,
    Path: record.args[0] ?? "",
    Args: record.args.slice(1),
    State: stateView(inspection),
    Image: record.image.id,
    ResolvConfPath: etc("resolv.conf"),
    HostnamePath: etc("hostname"),
    HostsPath: etc("hosts"),
    LogPath: paths.log,
    Name: `/${record.name}`,
    RestartCount: record.restartCount ?? 0,
    Driver: "overlay",
    Platform: "linux",
    ExecIDs: inspection.execs.length > 0 ? inspection.execs.map(({ id }) => id) : null,
    BundlePath: paths.bundle,
    StatePath: paths.state,
    ...(record.pod === undefined ? {} : { Pod: record.pod }),
    HostConfig: hostConfigView(inspection),
    Mounts: (record.options.mounts ?? []).map(mountView),
    Config: configView(inspection),
    NetworkSettings: {
      IPAddress: "",
      Gateway: "",
      MacAddress: "",
      Ports: asMap({}),
      Networks: asMap({ [record.options.network ?? "none"]: { IPAddress: "" } }),
    },
  };
}

function stateView({ record, state, health }: ContainerInspection) {
  const running = state.kind === "running";
  const paused = state.kind === "running" && state.paused;
  const restarting = !running && isRestarting(record);
  const run = running ? undefined : record.lastRun;
  return {
    Status: restarting ? "restarting" : paused ? "paused" : state.kind,
    // docker counts one that is about to be started again among those that run
    Running: running || restarting,
    Paused: paused,
    Restarting: restarting,
    OOMKilled: run?.oomKilled ?? false,
    Dead: false,
    Pid: running ? state.start.init.pid : 0,
    ExitCode: run?.exitCode ?? 0,
    Error: run?.error ?? "",
    StartedAt: (running ? state.start.startedAt : run?.startedAt) ?? never,
    // a start that failed has a reason and no times
    FinishedAt: (record.lastRun?.startedAt && record.lastRun.finishedAt) ?? never,
    ...(health ? { Health: healthView(health) } : {}),
  };
}

function healthView({ status, failingStreak, log }: Health) {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ start, end, exitCode, output }) => ({
      Start: start,
      End: end,
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

/** In nanoseconds, as the image has it. */
function healthCheckView({ command, retries, ...times }: HealthCheck) {
  const [program = "", flag = "", ...rest] = command;
  const isShell = program.endsWith("sh") && flag === "-c" && rest.length === 1;
  return {
    Test: isShell ? ["CMD-SHELL", ...rest] : ["CMD", ...command],
    Interval: times.intervalMs * 1e6,
    Timeout: times.timeoutMs * 1e6,
    StartPeriod: times.startPeriodMs * 1e6,
    StartInterval: times.startIntervalMs * 1e6,
    Retries: retries,
  };
}

function hostConfigView({ record, runtimeConfig }: ContainerInspection) {
  const { options, log } = record;
  const binds = (options.mounts ?? []).flatMap((mount) =>
    mount.kind === "bind" || (mount.kind === "volume" && !mount.anonymous)
      ? [`${mount.source}:${mount.target}${mount.readOnly ? ":ro" : ""}`]
      : [],
  );
  const tmpfs = (options.mounts ?? []).flatMap((mount) =>
    mount.kind === "tmpfs" ? [[mount.target, (mount.options ?? []).join(",")] as const] : [],
  );
  return {
    Binds: binds,
    LogConfig: { Type: log.driver, Config: asMap(logOptionsView(log)) },
    NetworkMode: options.network ?? "none",
    PortBindings: asMap({}),
    VolumesFrom: options.volumesFrom ?? null,
    RestartPolicy: {
      Name: record.restartPolicy?.name ?? "no",
      MaximumRetryCount: record.restartPolicy?.maximumRetries ?? 0,
    },
    AutoRemove: record.autoRemove,
    Annotations: options.annotations ? asMap(options.annotations) : null,
    BlkioWeight: options.blkioWeight ?? 0,
    ...blockDeviceView(options),
    CapAdd: options.capAdd ?? null,
    CapDrop: options.capDrop ?? null,
    CgroupParent:
      record.pod === undefined
        ? (options.cgroupParent ?? "")
        : posix.dirname(runtimeConfig.linux?.cgroupsPath ?? ""),
    CpuPeriod: options.cpuPeriodUs ?? 0,
    CpuQuota: options.cpuQuotaUs ?? 0,
    CpuRealtimePeriod: options.cpuRealtimePeriodUs ?? 0,
    CpuRealtimeRuntime: options.cpuRealtimeRuntimeUs ?? 0,
    DeviceCgroupRules: options.deviceCgroupRules ?? null,
    DeviceRequests: deviceRequestsView(options),
    Devices: (options.devices ?? []).map(({ hostPath, containerPath, permissions }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath ?? hostPath,
      CgroupPermissions: permissions ?? "rwm",
    })),
    Dns: options.dns ?? [],
    DnsOptions: options.dnsOptions ?? [],
    DnsSearch: options.dnsSearch ?? [],
    ExtraHosts: options.extraHosts ?? null,
    MemorySwappiness: options.memorySwappiness ?? null,
    OomKillDisable: options.oomKillDisable ?? false,
    OomScoreAdj: options.oomScoreAdj ?? 0,
    CgroupnsMode: options.cgroupNamespace ?? "private",
    GroupAdd: options.groupAdd ?? null,
    IpcMode: options.ipc ?? "private",
    PidMode: modeView(options.pid),
    UTSMode: modeView(options.uts),
    UsernsMode: typeof options.userNamespace === "object" ? "private" : modeView(options.userNamespace),
    Privileged: options.privileged ?? false,
    ReadonlyRootfs: options.readOnly ?? false,
    SecurityOpt: options.securityOpt ?? null,
    Sysctls: asMap(options.sysctls ?? {}),
    ShmSize: options.shmSizeBytes ?? 64 * 1024 * 1024,
    Runtime: record.runtime?.name ?? "gantry",
    Init: options.init ?? false,
    Memory: options.memoryBytes ?? 0,
    MemoryReservation: options.memoryReservationBytes ?? 0,
    MemorySwap: runtimeConfig.linux?.resources?.memory?.swap ?? 0,
    NanoCpus: Math.round((options.cpus ?? 0) * 1e9),
    CpuShares: options.cpuShares ?? 0,
    CpusetCpus: options.cpusetCpus ?? "",
    CpusetMems: options.cpusetMems ?? "",
    PidsLimit: options.pidsLimit ?? 0,
    Tmpfs: asMap(Object.fromEntries(tmpfs)),
    Ulimits: (options.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
    MaskedPaths: runtimeConfig.linux?.maskedPaths ?? [],
    ReadonlyPaths: runtimeConfig.linux?.readonlyPaths ?? [],
  };
}

/** What was asked for, and the limits that hold where nobody asked. */
function logOptionsView({ driver, options, limitBytes, files }: ContainerInspection["record"]["log"]) {
  if (driver !== "json-file" && driver !== "k8s-file") return options;
  const size = limitBytes === 0 ? "-1" : String(limitBytes);
  return { "max-size": size, "max-file": String(files), ...options };
}

/** Docker has no word for what is the default. */
function modeView(mode: string | undefined): string {
  return mode === undefined || mode === "private" ? "" : mode;
}

/** Lists of devices, as docker's API names them. */
function blockDeviceView({ blockDevices = [] }: ContainerOptions) {
  const rates = (key: "readBps" | "writeBps" | "readIops" | "writeIops") =>
    blockDevices.flatMap((device) => (device[key] ? [{ Path: device.path, Rate: device[key] }] : []));
  return {
    BlkioWeightDevice: blockDevices.flatMap(({ path, weight }) =>
      weight ? [{ Path: path, Weight: weight }] : [],
    ),
    BlkioDeviceReadBps: rates("readBps"),
    BlkioDeviceWriteBps: rates("writeBps"),
    BlkioDeviceReadIOps: rates("readIops"),
    BlkioDeviceWriteIOps: rates("writeIops"),
  };
}

function deviceRequestsView({ cdiDevices = [], gpus }: ContainerOptions) {
  const request = (
    Driver: string,
    Count: number,
    DeviceIDs: readonly string[] | null,
    capability?: string,
  ) => ({
    ...{ Driver, Count, DeviceIDs, Capabilities: capability ? [[capability]] : null, Options: asMap({}) },
  });
  const named = cdiDevices.length > 0 ? [request("cdi", 0, cdiDevices)] : [];
  if (gpus === undefined) return named.length > 0 ? named : null;
  const ids = Array.isArray(gpus) ? (gpus as readonly string[]) : null;
  return [...named, request("", gpus === "all" ? -1 : typeof gpus === "number" ? gpus : 0, ids, "gpu")];
}

function mountView(mount: MountOption) {
  const common = { Destination: mount.target };
  switch (mount.kind) {
    case "tmpfs":
      return {
        Type: "tmpfs",
        Source: "",
        ...common,
        Mode: (mount.options ?? []).join(","),
        RW: true,
        Propagation: "",
      };
    case "bind":
      return {
        Type: "bind",
        Source: mount.source,
        ...common,
        Mode: mount.readOnly ? "ro" : "",
        RW: !mount.readOnly,
        Propagation: mount.propagation ?? "rprivate",
      };
    case "volume":
      return {
        Type: "volume",
        Name: mount.source ?? "",
        Source: mount.path ?? "",
        ...common,
        Driver: "local",
        // docker's word where no mode was given
        Mode: mount.readOnly ? "ro" : "z",
        RW: !mount.readOnly,
        Propagation: "",
      };
    case "image":
      return { Type: "image", Source: mount.source, ...common, Mode: "", RW: false, Propagation: "" };
    default:
      throw mount satisfies never;
  }
}

/** Docker's form of a set. */
function anonymousPlaces(mounts: readonly MountOption[]) {
  const places = mounts.filter((mount) => mount.kind === "volume" && mount.anonymous);
  return places.length > 0 ? asMap(Object.fromEntries(places.map(({ target }) => [target, {}]))) : null;
}

function configView({ record, runtimeConfig }: ContainerInspection) {
  const { options } = record;
  const { process } = runtimeConfig;
  const entrypoint = record.args.slice(0, record.entrypointLength);
  return {
    Hostname: runtimeConfig.hostname ?? record.hostname ?? "",
    Domainname: runtimeConfig.domainname ?? "",
    ...(options.exposedPorts
      ? { ExposedPorts: asMap(Object.fromEntries(options.exposedPorts.map((port) => [port, {}]))) }
      : {}),
    User: options.user ?? "",
    Tty: process?.terminal ?? false,
    OpenStdin: record.openStdin,
    StdinOnce: record.stdinOnce ?? false,
    Env: process?.env ?? [],
    Cmd: record.args.slice(record.entrypointLength),
    Image: record.image.reference,
    Volumes: anonymousPlaces(options.mounts ?? []),
    WorkingDir: process?.cwd ?? "/",
    ...(record.healthCheck ? { Healthcheck: healthCheckView(record.healthCheck) } : {}),
    Entrypoint: entrypoint.length > 0 ? entrypoint : null,
    Labels: asMap(record.labels),
    StopSignal: signalName(record.stopSignal) ?? String(record.stopSignal),
    StopTimeout: record.stopTimeoutSeconds,
  };
}
