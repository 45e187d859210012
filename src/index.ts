/** What a program imports. */
export { type ErrorCode, GantryError, isGantryError } from "./base/error.ts";
export { createLogger, type Logger, type LogLevel } from "./base/log.ts";
export type {
  BlockDeviceOption,
  ContainerOptions,
  DeviceOption,
  MountOption,
  ResourceOptions,
  UlimitOption,
} from "./bundle/container-options.ts";
export type { TerminalSize } from "./bundle/exec-process.ts";
export type {
  PathArchive,
  PathStat,
  ReadArchiveOptions,
  WriteArchiveOptions,
} from "./engine/containers/archive.ts";
export type { AttachOptions } from "./engine/containers/attach.ts";
export type { ContainerInput } from "./engine/containers/attached-streams.ts";
export type { ChangeKind, FileChange } from "./engine/containers/changes.ts";
export type { CommitOptions } from "./engine/containers/commit.ts";
export type { Container, WaitOptions } from "./engine/containers/container.ts";
export type { CopyOptions } from "./engine/containers/copy.ts";
export type { CreateOptions, CreateRequest } from "./engine/containers/create.ts";
export type { Exec } from "./engine/containers/exec.ts";
export type { ExecRequest } from "./engine/containers/exec-plan.ts";
export type { ContainerInspection } from "./engine/containers/inspect.ts";
export type { ContainerStatus, ContainerSummary, ListOptions } from "./engine/containers/list.ts";
export type { ExecSummary } from "./engine/containers/list-execs.ts";
export type { LogRequest } from "./engine/containers/log-config.ts";
export type { LogEntry, LogRange, LogTime } from "./engine/containers/log-reader.ts";
export type { LogsOptions } from "./engine/containers/logs.ts";
export type { OutputStream } from "./engine/containers/output-stream.ts";
export type { RemoveOptions } from "./engine/containers/remove.ts";
export type { RunRequest } from "./engine/containers/run.ts";
export type { StartOptions } from "./engine/containers/start.ts";
export type { ContainerStats, StatsOptions } from "./engine/containers/stats.ts";
export type { StopOptions } from "./engine/containers/stop.ts";
export type { ProcessTable } from "./engine/containers/top.ts";
export type { UpdateRequest } from "./engine/containers/update.ts";
export type { ContainerExit } from "./engine/containers/wait.ts";
export type { WaitCondition } from "./engine/containers/wait-condition.ts";
export type { ExamineOptions } from "./engine/doctor/examine.ts";
export type { Finding } from "./engine/doctor/finding.ts";
export { Engine, type EngineOptions } from "./engine/engine.ts";
export type { EngineEvent, EventAction, EventKind, ReadEventsOptions } from "./engine/events.ts";
export type { Explanation } from "./engine/explain.ts";
export type { PullImageOptions } from "./engine/images/pull.ts";
export type { RemoveImageOptions } from "./engine/images/remove.ts";
export type { EngineInfo } from "./engine/info.ts";
export type { PodRequest } from "./engine/pods/create-pod.ts";
export type { PodContainer, PodInspection, PodStatus } from "./engine/pods/inspect-pod.ts";
export type { PodState } from "./engine/pods/observe-pod.ts";
export type { Pod } from "./engine/pods/pod.ts";
export type { PodLogEntry, PodLogsOptions } from "./engine/pods/pod-logs.ts";
export type { RemovePodOptions } from "./engine/pods/remove-pod.ts";
export type { StartPodOptions } from "./engine/pods/start-pod.ts";
export type {
  ContainerUsage,
  DiskUsage,
  ImageUsage,
  UsageTotal,
  VolumeUsage,
} from "./engine/system/disk-usage.ts";
export type {
  PrunedContainers,
  PrunedImages,
  PruneImagesOptions,
  PruneOptions,
} from "./engine/system/prune.ts";
export { version } from "./engine/version.ts";
export type {
  CreateVolumeRequest,
  PrunedVolumes,
  PruneVolumesOptions,
  RemoveVolumeOptions,
  Volume,
} from "./engine/volumes/volumes.ts";
export type { Image } from "./images/image.ts";
export type { ImportOptions } from "./images/import-tar.ts";
export type { OnPullEvent, PullEvent } from "./images/progress.ts";
export type { PullPolicy } from "./images/pull-options.ts";
export { printPlan } from "./plan/print.ts";
export { type RegistryServer, type RegistryServerOptions, serveRegistry } from "./registry/server.ts";
