/** Limits as docker's options write them. Pure. */
import type { BlockDeviceOption, UlimitOption } from "../../bundle/container-options.ts";
import { parseMemory } from "../format/units.ts";

const ulimitNames = [
  ...(["core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"] as const),
  ...(["rss", "rtprio", "rttime", "sigpending", "stack"] as const),
] as const;

/** `nofile=1024:2048`, `core=0`, `memlock=-1`. */
export function parseUlimit(text: string): UlimitOption {
  const match = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(text);
  if (!match) throw new Error(`invalid ulimit argument: ${text}`);
  const name = ulimitNames.find((known) => known === match[1]);
  if (!name) throw new Error(`invalid ulimit type: ${match[1]}`);
  const soft = Number(match[2]);
  const hard = match[3] === undefined ? soft : Number(match[3]);
  if (!Number.isSafeInteger(soft) || !Number.isSafeInteger(hard))
    throw new Error(`invalid ulimit argument: ${text}`);
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { name, soft, hard };
}

/** `1.5` CPUs. */
export function parseCpus(text: string): number {
  const value = Number(text);
  if (!/^\d*\.?\d+$|^\d+\.$/.test(text) || !Number.isFinite(value))
    throw new Error(`failed to parse ${text} as a rational number`);
  return value;
}

/** Like a memory size; -1 is unlimited. */
export function parseMemorySwap(text: string): number {
  return text === "-1" ? -1 : parseMemory(text);
}

/** `0-3,7`. */
export function parseCpuList(text: string): string {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) throw new Error(`invalid CPU list: ${text}`);
  return text;
}

/** `/dev/sda:200`. */
export function parseDeviceWeight(text: string): BlockDeviceOption {
  const [path, weight] = devicePair(text);
  const value = Number(weight);
  if (!/^\d+$/.test(weight) || (value > 0 && (value < 10 || value > 1000)))
    throw new Error(`invalid weight for device: ${text}`);
  return { path, weight: value };
}

/** `/dev/sda:1mb`, or with plain numbers `/dev/sda:1000`. */
export function parseDeviceRate(
  text: string,
  key: keyof BlockDeviceOption,
  sizes: boolean,
): BlockDeviceOption {
  const form = sizes
    ? "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
    : "<device-path>:<number>. Number must be a positive integer";
  const [path, rate] = devicePair(text);
  const invalid = () => new Error(`invalid rate for device: ${text}. The correct format is ${form}`);
  if (!sizes && !/^\d+$/.test(rate)) throw invalid();
  try {
    return { path, [key]: parseMemory(rate) };
  } catch {
    throw invalid();
  }
}

function devicePair(text: string): readonly [path: string, value: string] {
  const colon = text.indexOf(":");
  if (colon < 1) throw new Error(`bad format: ${text}`);
  const path = text.slice(0, colon);
  if (!path.startsWith("/dev/")) throw new Error(`bad format for device path: ${text}`);
  return [path, text.slice(colon + 1)];
}
