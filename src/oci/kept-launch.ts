/**
 * What the entry hands over of a `create` or `run` that is not the first of its kind (native/plan_template.c), and the
 * form in which its plan is kept for the next one:
 *
 *     handed over    u32 bytes of the key | u32 names | u32 marks | u32 bytes of the config | slot, 16 bytes
 *                    { u32 word, u32 offset, u32 length, u32 name } for each mark | key | config
 *     kept           u32 bytes of the key | u32 places | u32 bytes of the plan | u32 bytes of the filter
 *                    key | { u32 offset, u32 name } for each place | plan | filter
 */
import { readSync } from "node:fs";

/** A name in a text of the call: in which word of the command line (0 for the config) and where in it, in bytes. */
export interface Mark {
  readonly word: number;
  readonly offset: number;
  readonly length: number;
  readonly name: number;
}

export interface LaunchCall {
  /** All that the plan depends on but the names. */
  readonly key: Buffer;
  readonly names: number;
  readonly marks: readonly Mark[];
  /** config.json as the entry has read it. */
  readonly config: Buffer;
  /** File name below the directory of kept plans. */
  readonly slot: string;
}

/** Where in a plan a name stands. */
export interface Place {
  readonly offset: number;
  readonly name: number;
}

export interface KeptPlan {
  readonly key: Buffer;
  readonly places: readonly Place[];
  readonly plan: Buffer;
  /** Content of the container's file for its filter; undefined where it has no such file. */
  readonly filter: Buffer | undefined;
}

/** Larger ones are not kept: they lie in memory, in up to 256 places. The entry has the same limit. */
export const keptPlanLimitBytes = 256 * 1024;

const headBytes = 32;
const noFilter = 0xffffffff;

function readRange(fd: number, start: number, bytes: number): Buffer {
  const range = Buffer.alloc(bytes);
  for (let have = 0; have < bytes; ) {
    const n = readSync(fd, range, have, bytes - have, start + have);
    if (n === 0) throw new Error("the description of the launch is cut short");
    have += n;
  }
  return range;
}

export function readLaunchCall(fd: number): LaunchCall {
  const head = readRange(fd, 0, headBytes);
  const [keyBytes, names, markCount, configBytes] = [0, 4, 8, 12].map((at) => head.readUInt32LE(at));
  const marksAt = headBytes;
  const keyAt = marksAt + markCount! * 16;
  const marks = readRange(fd, marksAt, markCount! * 16);
  return {
    names: names!,
    slot: head.toString("latin1", 16, head.indexOf(0, 16)),
    marks: Array.from({ length: markCount! }, (_, index) => ({
      word: marks.readUInt32LE(index * 16),
      offset: marks.readUInt32LE(index * 16 + 4),
      length: marks.readUInt32LE(index * 16 + 8),
      name: marks.readUInt32LE(index * 16 + 12),
    })),
    key: readRange(fd, keyAt, keyBytes!),
    config: readRange(fd, keyAt + keyBytes!, configBytes!),
  };
}

export function encodeKeptPlan({ key, places, plan, filter }: KeptPlan): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(key.length, 0);
  head.writeUInt32LE(places.length, 4);
  head.writeUInt32LE(plan.length, 8);
  head.writeUInt32LE(filter?.length ?? noFilter, 12);
  const table = Buffer.alloc(places.length * 8);
  places.forEach(({ offset, name }, index) => {
    table.writeUInt32LE(offset, index * 8);
    table.writeUInt32LE(name, index * 8 + 4);
  });
  return Buffer.concat([head, key, table, plan, filter ?? Buffer.alloc(0)]);
}
