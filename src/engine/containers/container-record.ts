/** What is kept of a container: one JSON file, replaced atomically. Its present state is asked of the kernel instead. */
import {
  array,
  boolean,
  type Decoded,
  integer,
  object,
  oneOf,
  optional,
  record,
  string,
} from "../../base/decode.ts";
import { type RecordForm, recordTime } from "../../base/record-file.ts";
import type { ContainerOptions } from "../../bundle/container-options.ts";
import { digest } from "../../spec/digest.ts";
import { recordId } from "../record-store.ts";
import { healthCheck } from "./health-check.ts";
import { restartPolicyNames } from "./restart-policy.ts";

/** How the last run ended. */
const lastRun = object({
  /** Absent if the program never ran. */
  startedAt: optional(recordTime),
  finishedAt: recordTime,
  exitCode: integer(0, 255),
  oomKilled: boolean,
  /** Why it could not be started, or that its shim was killed. */
  error: optional(string),
});

export const logDrivers = ["json-file", "k8s-file", "none", "journald", "syslog"] as const;

/** How its log is kept. Also one that goes to a daemon has a file, from which it is read again. */
const log = object({
  driver: oneOf(...logDrivers),
  /** Docker's, as they were given. */
  options: record(string),
  /** Of the file; "none" for none. */
  format: oneOf("json", "cri", "none"),
  /** Size at which the file is turned over, 0 for never; and how many are kept. */
  limitBytes: integer(0),
  files: integer(1, 1000),
  /** Whether those that are not written to any more are compressed. */
  compress: optional(boolean),
});

const shape = object({
  version: integer(1, 1),
  id: recordId,
  name: string,
  createdAt: recordTime,
  image: object({
    /** As the user wrote it. */
    reference: string,
    id: digest,
    manifest: digest,
    /** Its layers by chainID, lowest first. */
    chainIds: array(digest, 1000),
  }),
  /** The program and its arguments. */
  args: array(string),
  /** How many of them are the entrypoint; the rest is the command. */
  entrypointLength: integer(0),
  labels: record(string),
  autoRemove: boolean,
  /** Whether it has a stdin that clients can write to. */
  openStdin: boolean,
  /** Whether that is closed when the first client that had it closes its own. */
  stdinOnce: optional(boolean),
  stopSignal: integer(1, 64),
  stopTimeoutSeconds: integer(-1),
  log,
  /** What is to follow on its end; left out: nothing. */
  restartPolicy: optional(
    object({ name: oneOf(...restartPolicyNames), maximumRetries: optional(integer(0)) }),
  ),
  /** How often its policy has started it since somebody did. */
  restartCount: optional(integer(0)),
  /** The pause before the last of these. */
  restartDelayMs: optional(integer(0)),
  /** The next one, if its policy wants one. */
  restart: optional(object({ at: recordTime, delayMs: integer(0) })),
  /** Somebody stopped it, and when: its policy does not start it in that boot. */
  manuallyStopped: optional(boolean),
  stoppedInBoot: optional(string),
  /** How its health is asked for; left out: it is not. */
  healthCheck: optional(healthCheck),
  /** The end in `lastRun` may not be among the events yet. */
  unreported: optional(boolean),
  /** What was asked for; the bundle was made of it. */
  options: (value: unknown) => value as ContainerOptions,
  /** The OCI runtime that makes it, if that is another one. */
  runtime: optional(object({ name: string, path: string })),
  /** Id of the pod that it belongs to. */
  pod: optional(recordId),
  /** The host name that it sees in a UTS namespace of others. */
  hostname: optional(string),
  /** Boot in which it was last started; absent once the end of that run is in `lastRun`. */
  startedInBoot: optional(string),
  lastRun: optional(lastRun),
});

export type ContainerRecord = Decoded<typeof shape>;
export type LastRun = Decoded<typeof lastRun>;
export type LogConfig = Decoded<typeof log>;

/** Nothing grows without bound that nobody asked to. */
export const defaultLog: LogConfig = {
  driver: "json-file",
  options: {},
  format: "json",
  limitBytes: 16 * 1024 * 1024,
  files: 2,
};

export const containerRecordForm: RecordForm<ContainerRecord> = {
  decoder: shape,
  what: "container record",
  limitBytes: 8 * 1024 * 1024,
};
