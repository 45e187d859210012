/** `--log-driver` and `--log-opt` of docker -> how the log of a container is kept. */
import { statSync } from "node:fs";
import { errnoOf, GantryError } from "../../base/error.ts";
import { defaultLog, type LogConfig, logDrivers } from "./container-record.ts";
import { parseSyslogAddress, syslogFacility, syslogFormat } from "./syslog-options.ts";

/** What a container's log is asked to be. Options are docker's, by name: `{ "max-size": "10m", tag: "{{.Name}}" }`. */
export interface LogRequest {
  /** "json-file" unless told; "k8s-file" (or "cri") has the lines that Kubernetes reads. */
  readonly driver?: string | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
}

const general = ["mode", "max-buffer-size"];
const cache = ["cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
const attributes = ["labels", "labels-regex", "env", "env-regex", "tag"];
const file = ["max-size", "max-file", "compress", ...attributes];

const optionsOf: Readonly<Record<Exclude<LogConfig["driver"], "none">, readonly string[]>> = {
  "json-file": file,
  "k8s-file": file,
  journald: attributes,
  syslog: [
    ...attributes,
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
  ],
};

function refuse(message: string): never {
  throw new GantryError("invalid-argument", message);
}

/** Checks a request in docker's words. */
export function logConfig(request: LogRequest): LogConfig {
  const { options = {} } = request;
  const name = request.driver === "cri" ? "k8s-file" : (request.driver ?? "json-file");
  const driver = logDrivers.find((known) => known === name);
  if (driver === "none") return { ...defaultLog, driver, options, format: "none" };
  checkMode(options);
  if (!driver) refuse(`logger: no log driver named '${name}' is registered`);
  const known = [...general, ...cache, ...optionsOf[driver]];
  for (const key of Object.keys(options))
    if (!known.includes(key)) refuse(`unknown log opt '${key}' for ${driver} log driver`);
  for (const key of ["labels-regex", "env-regex"]) checkPattern(options[key]);
  if (driver === "syslog") checkSyslog(options);
  const local = driver === "json-file" || driver === "k8s-file";
  const compress = truth(options, local ? "compress" : "cache-compress");
  const kept = fileLimits(local ? options : cacheOptions(options));
  // docker's words
  if (local && compress && (kept.files < 2 || options["max-size"] === undefined))
    refuse("compress cannot be true when max-file is less than 2 or max-size is not set");
  const format = driver === "k8s-file" ? "cri" : !local && truth(options, "cache-disabled") ? "none" : "json";
  return { driver, options, format, ...kept, ...(compress && kept.files > 1 ? { compress } : {}) };
}

/** The file beside a daemon goes by the same options with another beginning. */
function cacheOptions(options: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    ["max-size", "max-file"].flatMap((key) => {
      const value = options[`cache-${key}`];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

function checkMode(options: Readonly<Record<string, string>>): void {
  const { mode } = options;
  if (mode !== undefined && !["", "blocking", "non-blocking"].includes(mode))
    refuse(`logger: logging mode not supported: ${mode}`);
  const size = options["max-buffer-size"];
  if (size === undefined) return;
  if (mode !== "non-blocking")
    refuse("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  parseSize(size, 1024, "error parsing option max-buffer-size: ");
}

function checkPattern(text: string | undefined): void {
  if (text === undefined) return;
  try {
    new RegExp(text);
  } catch (error) {
    refuse(`error parsing regexp: ${(error as Error).message}`);
  }
}

/** Go's strconv.ParseBool. */
function truth(options: Readonly<Record<string, string>>, key: string): boolean {
  const text = options[key];
  if (text === undefined || text === "") return false;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return refuse(`invalid value for option ${key}: ${text}`);
}

/** How a receiver over TLS is proved, and what is proved to it. */
export interface SyslogTls {
  /** Absolute paths of PEM files. The authorities are trusted beside the public ones. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly skipVerify: boolean;
}

export function syslogTls(options: Readonly<Record<string, string>>): SyslogTls {
  const file = (name: string) => {
    const path = options[`syslog-tls-${name}`];
    // a restart may come from another folder
    if (path && !path.startsWith("/")) refuse(`syslog-tls-${name} must be an absolute path, got ${path}`);
    return path || undefined;
  };
  const certFile = file("cert");
  const keyFile = file("key");
  if ((certFile === undefined) !== (keyFile === undefined))
    refuse("syslog-tls-cert and syslog-tls-key must be given together");
  return { caFile: file("ca-cert"), certFile, keyFile, skipVerify: truth(options, "syslog-tls-skip-verify") };
}

function checkSyslog(options: Readonly<Record<string, string>>): void {
  const address = parseSyslogAddress(options["syslog-address"]);
  syslogTls(options);
  syslogFacility(options["syslog-facility"]);
  syslogFormat(options["syslog-format"]);
  if (address.kind !== "unix" || options["syslog-address"] === undefined) return;
  try {
    statSync(address.path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    refuse(`stat ${address.path}: no such file or directory`);
  }
}

/** A single file holds what it may where only its size is given, as docker has it. */
function fileLimits(options: Readonly<Record<string, string>>): { limitBytes: number; files: number } {
  const size = options["max-size"];
  const count = options["max-file"];
  const limitBytes = size === undefined ? defaultLog.limitBytes : sizeLimit(size);
  if (count === undefined) return { limitBytes, files: size === undefined ? defaultLog.files : 1 };
  if (!/^[+-]?\d+$/.test(count)) refuse(`strconv.Atoi: parsing ${JSON.stringify(count)}: invalid syntax`);
  const files = Number(count);
  if (files < 1) refuse("max-file cannot be less than 1");
  if (files > 1000) refuse("max-file cannot be more than 1000");
  return { limitBytes, files };
}

function sizeLimit(text: string): number {
  // docker's word for no limit
  if (text === "-1") return 0;
  const bytes = parseSize(text, 1000);
  return bytes > 0 ? bytes : refuse("max-size must be a positive number");
}

/** Go's units.FromHumanSize (factor 1000) and units.RAMInBytes (factor 1024). */
export function parseSize(text: string, factor: 1000 | 1024, context = ""): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])(?:i?b)?|b)?$/i.exec(text);
  if (!match) refuse(`${context}invalid size: '${text}'`);
  const power = "kmgtp".indexOf((match[2] ?? "").toLowerCase() || "-") + 1;
  const bytes = Math.floor(Number(match[1]) * factor ** power);
  return Number.isSafeInteger(bytes) ? bytes : refuse(`${context}invalid size: '${text}'`);
}
