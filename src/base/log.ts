/** Diagnostics for people: a constant message and facts as fields, one line each, to one sink. */

export type LogLevel = "error" | "warn" | "info" | "debug";

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

const rankOf: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

export const logLevels = Object.keys(rankOf) as readonly LogLevel[];

/** A logger that hands each line at or above `level` to `sink`. */
export function createLogger(
  level: LogLevel,
  sink: (level: LogLevel, message: string, fields: LogFields) => void,
): Logger {
  const at =
    (own: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (rankOf[own] <= rankOf[level]) sink(own, message, fields);
    };
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

export const silentLogger: Logger = createLogger("error", () => {});

/** `level message key=value …`, values as JSON where they hold anything but plain characters. */
export function formatLogLine(level: LogLevel, message: string, fields: LogFields): string {
  const pairs = Object.entries(fields).map(([key, value]) => {
    const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined");
    return `${key}=${/^[\w./:@+-]+$/.test(text) ? text : JSON.stringify(text)}`;
  });
  return [level, message, ...pairs].join(" ");
}
