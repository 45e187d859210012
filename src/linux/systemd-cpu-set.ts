/** A list of processors or memory nodes ("0-3,7") -> the bit mask that systemd takes. */
import { invalidResource } from "./cgroup-values.ts";

/** More than any kernel is built for (CONFIG_NR_CPUS). */
const mostNumbers = 8192;

/** Least significant byte first, no longer than it must be. */
export function cpuSetBytes(list: string, pointer: string): readonly number[] {
  const bytes: number[] = [];
  for (const part of list.split(",").map((text) => text.trim())) {
    if (part === "") continue;
    const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
    if (!range || first > last || last >= mostNumbers)
      throw invalidResource(pointer, `${JSON.stringify(list)} is no list of numbers`);
    for (let number = first; number <= last; number++) {
      const index = number >> 3;
      while (bytes.length <= index) bytes.push(0);
      bytes[index]! |= 1 << (number & 7);
    }
  }
  if (bytes.length === 0) throw invalidResource(pointer, `${JSON.stringify(list)} names nothing`);
  return bytes;
}
