/**
 * What is settled about a log when its container starts: the tag, the attributes of its entries, and the daemon that
 * gets its lines. Loaded only for logs that have any of it.
 */

import { lookup } from "node:dns/promises";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { GantryError } from "../../base/error.ts";
import { isIP } from "../../base/ip.ts";
import { randomHex } from "../../base/random.ts";
import { asMap, compileTemplate } from "../../base/template/template.ts";
import type { HostProgram, LogForward } from "../../plan/compile/request.ts";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { ContainerRecord, LogConfig } from "./container-record.ts";
import { parseSize, syslogTls } from "./log-config.ts";
import { parseSyslogAddress, syslogFacility, syslogFormat } from "./syslog-options.ts";

export interface LogTarget {
  readonly attributes?: string;
  readonly forward?: LogForward;
}

const journalSocket = "/run/systemd/journal/socket";
/** What the executor takes (native/log.h, native/log_forward.h). */
const textLimitBytes = 64 * 1024;

type Named = Pick<
  ContainerRecord,
  "id" | "name" | "args" | "labels" | "image" | "createdAt" | "entrypointLength"
>;
type Environment = readonly string[];

/** `gantry internal …` as a program of the host; undefined where there is none. */
export type InternalCommand = (...words: readonly string[]) => HostProgram | undefined;

export async function logTarget(
  record: Named,
  { driver, options }: Pick<LogConfig, "driver" | "options">,
  runtimeConfig: RuntimeConfig,
  internalCommand: InternalCommand,
): Promise<LogTarget> {
  const env = runtimeConfig.process?.env ?? [];
  const tag = logTag(record, options, env);
  if (driver === "journald") return { forward: journal(record, options, env, tag) };
  if (driver === "syslog") return { forward: await syslog(options, tag, internalCommand) };
  const extra = extraAttributes(record, options, env);
  if (options.tag) extra.set("tag", tag);
  return extra.size > 0 ? { attributes: attributesJson(extra) } : {};
}

/** Docker's template over what it knows of a container; its id if nobody asked for a tag. */
export function logTag(record: Named, options: LogConfig["options"], env: Environment): string {
  if (!options.tag) return record.id.slice(0, 12);
  const { image, args } = record;
  const imageId = image.id.replace(/^sha256:/, "");
  return compileTemplate(options.tag).run({
    ID: record.id.slice(0, 12),
    FullID: record.id,
    Name: record.name,
    ImageID: imageId.slice(0, 12),
    ImageFullID: image.id,
    ImageName: image.reference,
    Command: args.join(" "),
    Hostname: hostname(),
    DaemonName: "gantry",
    ContainerID: record.id,
    ContainerName: `/${record.name}`,
    ContainerEntrypoint: args[0] ?? "",
    ContainerArgs: args.slice(1),
    ContainerImageID: image.id,
    ContainerImageName: image.reference,
    ContainerCreated: record.createdAt,
    ContainerEnv: env,
    ContainerLabels: asMap(record.labels),
    Config: asMap(options),
  });
}

/** Labels and variables that the options choose, by name and by pattern. */
function extraAttributes(
  { labels }: Named,
  options: LogConfig["options"],
  env: Environment,
): Map<string, string> {
  const extra = new Map<string, string>();
  const variables = new Map(
    env.map((entry) => {
      const equals = entry.indexOf("=");
      return [entry.slice(0, equals), entry.slice(equals + 1)] as const;
    }),
  );
  const choose = (from: ReadonlyMap<string, string>, names = "", pattern = "") => {
    for (const name of names.split(",")) {
      const value = from.get(name);
      if (value !== undefined) extra.set(name, value);
    }
    if (pattern === "") return;
    const form = new RegExp(pattern);
    for (const [name, value] of from) if (form.test(name)) extra.set(name, value);
  };
  choose(new Map(Object.entries(labels)), options.labels, options["labels-regex"]);
  choose(variables, options.env, options["env-regex"]);
  return extra;
}

/** As Go's encoder writes a map of strings: keys in order, no character that HTML knows. */
function attributesJson(extra: ReadonlyMap<string, string>): string {
  const sorted = [...extra].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify(Object.fromEntries(sorted)).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return limited(text, "attributes");
}

function limited(text: string, what: string): string {
  if (Buffer.byteLength(text) <= textLimitBytes) return text;
  throw new GantryError(
    "invalid-argument",
    `log ${what}: ${Buffer.byteLength(text)} bytes are more than the limit of ${textLimitBytes}`,
  );
}

/** A name that the journal takes for a field: upper case, digits and underscores, none at the beginning. */
function fieldName(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9]/gu, "_")
    .replace(/^_+/, "");
}

function journal(record: Named, options: LogConfig["options"], env: Environment, tag: string): LogForward {
  if (!existsSync(journalSocket))
    throw new GantryError(
      "failed-precondition",
      `failed to initialize logging driver: journald is not enabled on this host: ${journalSocket} does not exist`,
    );
  const fields = new Map([
    ["CONTAINER_ID", record.id.slice(0, 12)],
    ["CONTAINER_ID_FULL", record.id],
    ["CONTAINER_NAME", record.name],
    ["CONTAINER_TAG", tag],
    ["IMAGE_NAME", record.image.reference],
    ["SYSLOG_IDENTIFIER", tag],
    ["CONTAINER_LOG_EPOCH", randomHex(32)],
  ]);
  for (const [name, value] of extraAttributes(record, options, env)) {
    const field = fieldName(name);
    if (field !== "") fields.set(field, value);
  }
  const bytes = Buffer.concat([...fields].map(([name, value]) => journalField(name, Buffer.from(value))));
  if (bytes.length > textLimitBytes)
    throw new GantryError(
      "invalid-argument",
      `journal fields: ${bytes.length} bytes are more than the limit of ${textLimitBytes}`,
    );
  return {
    protocol: "datagram",
    address: journalSocket,
    format: "journal",
    fields: bytes,
    ...delivery(options),
  };
}

/** `NAME=value`, or with a length where the value holds a line feed (systemd, "Native Journal Protocol"). */
function journalField(name: string, value: Buffer): Buffer {
  if (!value.includes(10)) return Buffer.concat([Buffer.from(`${name}=`), value, Buffer.from("\n")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, Buffer.from("\n")]);
}

async function syslog(
  options: LogConfig["options"],
  tag: string,
  internalCommand: InternalCommand,
): Promise<LogForward> {
  return {
    ...(await receiver(options, internalCommand)),
    facility: syslogFacility(options["syslog-facility"]),
    host: hostname(),
    // one line and, for RFC 5424, one word
    tag: limited(tag.replace(/[\s\0]+/g, "_"), "tag"),
    ...delivery(options),
  };
}

async function receiver(
  options: LogConfig["options"],
  internalCommand: InternalCommand,
): Promise<Pick<LogForward, "protocol" | "address" | "port" | "relay" | "format">> {
  const address = parseSyslogAddress(options["syslog-address"]);
  const format = syslogFormat(options["syslog-format"]);
  if (address.kind === "unix") return { protocol: address.protocol, address: address.path, format };
  const { host, port, protocol } = address;
  if (protocol !== "tcp+tls") return { protocol, address: await resolveHost(host), port, format };
  const relay = internalCommand("relay-log", ...relayWords(options), host, String(port));
  if (!relay)
    throw new GantryError(
      "unimplemented",
      "syslog over TLS needs a helper: who holds the connection is nobody here",
    );
  // as docker does, over TLS alone
  const counted = { rfc5424: "rfc5425", rfc5424micro: "rfc5425micro" } as const;
  const framed = format === "rfc5424" || format === "rfc5424micro" ? counted[format] : format;
  return {
    protocol: "relay",
    relay,
    address: isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`,
    format: framed,
  };
}

function relayWords(options: LogConfig["options"]): readonly string[] {
  const { caFile, certFile, keyFile, skipVerify } = syslogTls(options);
  return [
    ...(caFile === undefined ? [] : [`--ca-cert=${caFile}`]),
    ...(certFile === undefined ? [] : [`--cert=${certFile}`]),
    ...(keyFile === undefined ? [] : [`--key=${keyFile}`]),
    ...(skipVerify ? ["--skip-verify"] : []),
  ];
}

async function resolveHost(host: string): Promise<string> {
  if (isIP(host)) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new GantryError(
      "unavailable",
      `failed to initialize logging driver: dial ${host}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Docker's buffer of mode=non-blocking is that of the socket here. */
function delivery(options: LogConfig["options"]): Pick<LogForward, "patient" | "bufferBytes"> {
  if (options.mode !== "non-blocking") return { patient: true };
  const size = options["max-buffer-size"];
  return { patient: false, bufferBytes: size === undefined ? 1024 * 1024 : parseSize(size, 1024) };
}
