/** Sizes, durations and times in the words that docker uses, both ways. Pure. */

const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** As C's %.{digits}g, which Go's units package uses: significant digits, no trailing zeros. */
function significant(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)));
}

function scaled(value: number, base: number, units: readonly string[], digits: number): string {
  let index = 0;
  for (; value >= base && index < units.length - 1; index++) value /= base;
  return significant(value, digits) + units[index];
}

/** `4.26MB`: what tables show. */
export function humanSize(bytes: number): string {
  return scaled(bytes, 1000, decimalUnits, 3);
}

/** `23.4GiB`: memory. */
export function humanMemory(bytes: number): string {
  return scaled(bytes, 1024, binaryUnits, 4);
}

const memoryFactors: Readonly<Record<string, number>> = {
  ...{ "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4, p: 1024 ** 5 },
};

/** Bytes of `100m`, `1.5g`, `512KiB`, `1000b`, `1000`: units are powers of 1024, as for docker's memory options. */
export function parseMemory(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-zA-Z]*)$/.exec(text.trim());
  if (!match) throw new Error(`invalid size: '${text}'`);
  const suffix = match[2]!.toLowerCase();
  const factor = memoryFactors[suffix.replace(/^([kmgtp])i?b$/, "$1")];
  if (factor === undefined) throw new Error(`invalid suffix: '${match[2]}'`);
  const bytes = Math.floor(Number(match[1]) * factor);
  if (!Number.isSafeInteger(bytes)) throw new Error(`invalid size: '${text}' is too large`);
  return bytes;
}

/** Go's units.HumanDuration: `Less than a second`, `About a minute`, `3 weeks`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(ms / 3_600_000);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(ms / 3_600_000 / 24 / 365)} years`;
}

/** `5 minutes ago`. */
export function ago(time: string | Date, now: Date = new Date()): string {
  const then = typeof time === "string" ? Date.parse(time) : time.getTime();
  return Number.isFinite(then) ? `${humanDuration(Math.max(0, now.getTime() - then))} ago` : "N/A";
}

/** `2026-08-23 10:11:12 +0000 UTC`: what docker prints for CreatedAt. */
export function createdAt(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  return `${date.toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`;
}

const durationFactors: Readonly<Record<string, number>> = {
  ...{ ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 },
};

/** Milliseconds of a Go duration such as `1h30m` or `1.5s`. */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  let total = 0;
  let rest = text;
  while (rest !== "") {
    const match = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/.exec(rest);
    if (!match) throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
    total += Number(match[1]) * durationFactors[match[2]!]!;
    rest = rest.slice(match[0].length);
  }
  if (text === "") throw new Error('time: invalid duration ""');
  return total;
}

/**
 * A point in time as `--since` and `--until` take it: a duration back from now, seconds since 1970 with fraction, or
 * an RFC 3339 date or time (local time where no zone is given).
 */
export function parseTime(text: string, now: Date = new Date()): Date {
  if (/^\d+(\.\d+)?$/.test(text)) return new Date(Number(text) * 1000);
  if (/^(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return new Date(now.getTime() - parseDuration(text));
  const match = /^\d{4}-\d{2}-\d{2}(?:T\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(
    text,
  );
  if (!match) throw new Error(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  let full = text;
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) full = `${text}T00:00:00`;
  else if (/T\d{2}$/.test(text)) full = `${text}:00:00`;
  const date = new Date(full.replace(/(\.\d{3})\d+/, "$1"));
  if (Number.isNaN(date.getTime()))
    throw new Error(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return date;
}

/** The same to the nanosecond, as far as the text tells: since 1970. */
export function parseNanoTime(text: string, now: Date = new Date()): bigint {
  const seconds = /^(\d+)\.(\d+)$/.exec(text);
  if (seconds) return BigInt(seconds[1]!) * 1_000_000_000n + BigInt(seconds[2]!.slice(0, 9).padEnd(9, "0"));
  const beyond = /T[\d:]+\.\d{3}(\d{1,6})/.exec(text)?.[1] ?? "";
  return BigInt(Math.floor(parseTime(text, now).getTime())) * 1_000_000n + BigInt(beyond.padEnd(6, "0"));
}
