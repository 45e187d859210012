/**
 * What happens to containers, images and volumes, told to whoever asks: every process that works on the store appends to one
 * file below the state directory, and every process may read it. The file is rotated once and is gone after a reboot.
 */
import { closeSync, fstatSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { oneOf, record, string } from "../base/decode.ts";
import { errnoOf, wrapErrno } from "../base/error.ts";
import { tryLockFile } from "../base/lock.ts";
import { lateText } from "../plan/compile/late-text.ts";
import type { AppendedLine } from "../plan/compile/request.ts";
import type { ReadLinesOptions } from "./line-reader.ts";
import { makePrivateDirectory } from "./store-layout.ts";

const kinds = ["container", "image", "pod", "volume"] as const;
const actions = [
  ...(["create", "start", "kill", "stop", "die", "oom", "destroy", "attach", "detach", "resize"] as const),
  ...(["health_status: starting", "health_status: healthy", "health_status: unhealthy"] as const),
  ...([
    "restart",
    "pause",
    "unpause",
    "rename",
    "update",
    "top",
    "archive-path",
    "extract-to-dir",
    "export",
    "commit",
  ] as const),
  ...(["exec_create", "exec_start", "exec_detach", "exec_die"] as const),
  ...(["pull", "import", "tag", "untag", "delete"] as const),
] as const;

export type EventKind = (typeof kinds)[number];
export type EventAction = (typeof actions)[number];

export interface EngineEvent {
  readonly kind: EventKind;
  readonly action: EventAction;
  /** Container id, image id or reference. */
  readonly id: string;
  /** RFC 3339. */
  readonly time: string;
  /** `image`, `name`, `exitCode`, `signal`, … and the labels of the container. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** What an event tells of a container: `image`, `name`, and its labels. */
export type ContainerAttributes = Readonly<Record<string, string>> & { readonly name: string };

export interface ReadEventsOptions {
  /** Also what happened from this time on; otherwise only what happens from now on. */
  readonly since?: Date;
  /** End at this time; the future is waited for. */
  readonly until?: Date;
  readonly signal?: AbortSignal;
}

const rotateBytes = 4 * 1024 * 1024;
/** How long shims alone may make it, which cannot turn it over: they know no locks. */
const unattendedBytes = 16 * rotateBytes;
const files = 2;

export class EventLog implements Disposable {
  readonly #path: string;
  #file: { readonly fd: number; readonly inode: number } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  append(
    kind: EventKind,
    action: EventAction,
    id: string,
    attributes: Readonly<Record<string, string>> = {},
    time = new Date(),
  ): void {
    const event: EngineEvent = { kind, action, id, time: time.toISOString(), attributes };
    try {
      // one write with O_APPEND: lines of several processes do not mix
      writeSync(this.#open(), `${JSON.stringify(event)}\n`);
    } catch (error) {
      throw wrapErrno(error, "record event", this.#path);
    }
  }

  /**
   * An event of a container that an executor appends, which fills in its time, the name that the container has then,
   * and what `late` says of the attributes.
   */
  line(
    action: EventAction,
    id: string,
    attributes: ContainerAttributes,
    renamed: string,
    late: Readonly<Record<string, string>> = {},
  ): AppendedLine {
    const { name, ...known } = attributes;
    const event = lateText(
      { kind: "container" satisfies EventKind, action, id },
      { attributes: lateText(known, { name: '"@NAME@"', ...late }), time: '"@TIME@"' },
    );
    return { path: this.#path, limitBytes: unattendedBytes, line: `${event}\n`, name, renamed };
  }

  /** The descriptor of the file that has the name now: another process may have turned it over. */
  #open(): number {
    const { fd, inode } = this.#file ?? {};
    const current = statSync(this.#path, { throwIfNoEntry: false });
    if (fd !== undefined && current?.ino === inode && (current?.size ?? 0) < rotateBytes) return fd;
    if (fd !== undefined) closeSync(fd);
    this.#file = undefined;
    if (current && current.size >= rotateBytes) this.#turnOver();
    makePrivateDirectory(dirname(this.#path));
    const opened = openSync(this.#path, "a", 0o600);
    this.#file = { fd: opened, inode: fstatSync(opened).ino };
    return opened;
  }

  /** The file becomes the old one, once: a second writer that found it too long would do so with the new one. */
  #turnOver(): void {
    using lock = tryLockFile(`${this.#path}.lock`);
    // whoever has it is at it: this event is one more in the old file
    if (!lock || (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) < rotateBytes) return;
    renameSync(this.#path, `${this.#path}.1`);
  }

  /** Whether there is such an event in what is kept. Reads all of it. */
  includes(wanted: (event: EngineEvent) => boolean): boolean {
    return [`${this.#path}.1`, this.#path].some((path) => {
      let text: string;
      try {
        text = readFileSync(path, "utf8");
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return false;
        throw wrapErrno(error, "read events", path);
      }
      return text.split("\n").some((line) => {
        const event = parseEvent(line);
        return event !== undefined && wanted(event);
      });
    });
  }

  [Symbol.dispose](): void {
    if (this.#file) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  async *read(options: ReadEventsOptions = {}): AsyncGenerator<EngineEvent> {
    const { since, until, signal } = options;
    const future = !until || until.getTime() > Date.now();
    const stop = Promise.withResolvers<void>();
    const timer =
      until && future
        ? setTimeout(stop.resolve, Math.min(until.getTime() - Date.now(), 2 ** 31 - 1))
        : undefined;
    const lines: ReadLinesOptions = {
      files,
      ...(since ? {} : { tail: 0 }),
      ...(future ? { ended: stop.promise } : {}),
      ...(signal ? { signal } : {}),
    };
    // it brings what inflates rotated files, which a start has no use for
    const { readLines } = await import("./line-reader.ts");
    try {
      for await (const line of readLines(this.#path, lines)) {
        const event = parseEvent(line.toString());
        if (!event) continue;
        const time = Date.parse(event.time);
        if (since && time < since.getTime()) continue;
        if (until && time > until.getTime()) return;
        yield event;
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

const kind = oneOf(...kinds);
const action = oneOf(...actions);
const attributes = record(string, 10_000);

/** One line of the file; undefined for a torn one. */
export function parseEvent(line: string): EngineEvent | undefined {
  try {
    const value = JSON.parse(line) as Record<string, unknown>;
    return {
      kind: kind(value.kind, "/kind"),
      action: action(value.action, "/action"),
      id: string(value.id, "/id"),
      time: string(value.time, "/time"),
      attributes: attributes(value.attributes, "/attributes"),
    };
  } catch {
    return undefined;
  }
}
