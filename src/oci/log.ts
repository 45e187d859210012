/**
 * Log lines as runc writes them, since callers parse them: containerd's shim takes the last line of
 * level error, podman takes the whole file as one JSON object. So nothing but the fatal error is written
 * unless --debug asks for more.
 */
import { appendFileSync, writeSync } from "node:fs";
import { createLogger, type LogFields, type Logger } from "../base/log.ts";

export interface OciLog {
  readonly logger: Logger;
  /** Writes the error that ends the command: to the log, and to stderr for people. */
  fatal(message: string): void;
}

export interface OciLogOptions {
  /** Path of the log file; stderr if left out. */
  readonly file?: string | undefined;
  readonly format: "text" | "json";
  readonly debug: boolean;
}

/** RFC 3339 in seconds, as logrus writes it. */
function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

const levels = { error: "error", warn: "warning", info: "info", debug: "debug" } as const;

export function openLog(options: OciLogOptions): OciLog {
  const line = (level: keyof typeof levels, message: string, fields: LogFields): string => {
    const entry = { ...fields, level: levels[level], msg: message, time: now() };
    if (options.format === "json") return `${JSON.stringify(entry)}\n`;
    const extra = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
    return `time=${JSON.stringify(entry.time)} level=${entry.level} msg=${JSON.stringify(message)}${extra.join("")}\n`;
  };
  const write = (level: keyof typeof levels, message: string, fields: LogFields) => {
    const text = line(level, message, fields);
    if (options.file === undefined) writeSync(2, text);
    else appendFileSync(options.file, text, { mode: 0o644 });
  };
  return {
    logger: createLogger(options.debug ? "debug" : "error", write),
    fatal(message) {
      write("error", message, {});
      if (options.file !== undefined) writeSync(2, `${message}\n`);
    },
  };
}
