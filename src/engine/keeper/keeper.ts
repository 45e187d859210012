/**
 * Does for all containers of a store what needs a clock: health checks, restarts that are due, ends that nobody saw. One process of a
 * store at a time. Nothing of what it knows is in its memory alone: whoever is started after it was killed reads the
 * same records and goes on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { GantryError, isGantryError } from "../../base/error.ts";
import { observeAll } from "../containers/observe.ts";
import { restartIfDue, startWithMachine } from "../containers/restart-due.ts";
import type { Internals } from "../internals.ts";
import { type Held, tryHold } from "./keeper-lock.ts";

export interface KeepOptions {
  /** End when nothing is left that needs a clock; and at once where another process does it. */
  readonly onDemand?: boolean | undefined;
  /** How often what no image needs any more is removed, in milliseconds; default ten minutes. Not on demand. */
  readonly collectMs?: number | undefined;
  /** All is as it should be from here on; told how many containers there are. */
  readonly onReady?: ((containers: number) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How often all containers are looked at, for ends of which no event tells: those of killed shims. */
const roundMs = 5_000;
const collectMs = 600_000;
/** How long one that was started on demand stays without anything to do. */
const idleMs = 2_000;

/** Resolves when `signal` aborts or, on demand, when there is nothing to do any more. */
export async function keep(internals: Internals, options: KeepOptions = {}): Promise<void> {
  for (;;) {
    using held = tryHold(internals.layout);
    if (!isHeld(held)) {
      if (options.onDemand) return;
      throw new GantryError(
        "already-exists",
        `this store is being served already, by process ${held.owner}`,
        {
          detail: { pid: held.owner },
        },
      );
    }
    await new Keeper(internals, options).run();
    if (!options.onDemand || options.signal?.aborted) return;
    held[Symbol.dispose]();
    // one that came up in the last moment, found us and left
    if (!(await hasDue(internals))) return;
  }
}

function isHeld(held: Held): held is Disposable & { readonly owner: undefined } {
  return held.owner === undefined;
}

async function hasDue(internals: Internals): Promise<boolean> {
  return internals.containers.list(() => {}).some(({ restart }) => restart !== undefined);
}

class Keeper {
  readonly #internals: Internals;
  readonly #options: KeepOptions;
  /** Of this run alone: also what it waits for ends with it. */
  readonly #over = new AbortController();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #busy = new Set<Promise<void>>();
  /** Containers whose health is followed. */
  readonly #followed = new Map<string, AbortController>();
  #idleSince = Date.now();

  constructor(internals: Internals, options: KeepOptions) {
    this.#internals = internals;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { signal, onReady } = this.#options;
    const stop = () => this.#over.abort();
    if (signal?.aborted) return;
    signal?.addEventListener("abort", stop);
    try {
      const events = this.#followEvents();
      for (const id of this.#internals.containers.ids()) this.#do(() => this.#bringUp(id));
      await onReady?.(await this.#lookAtAll());
      if (!this.#options.onDemand) this.#do(() => this.#collections());
      await Promise.race([this.#rounds(), events]);
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#over.abort();
      for (const timer of this.#timers.values()) clearTimeout(timer);
      await Promise.allSettled(this.#busy);
    }
  }

  /** Until it is told to end, or has had nothing to do for a while. */
  async #rounds(): Promise<void> {
    const { signal } = this.#over;
    const pauseMs = this.#options.onDemand ? idleMs : roundMs;
    while (!signal.aborted) {
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#lookAtAll();
      if (this.#timers.size + this.#busy.size > 0) this.#idleSince = Date.now();
      else if (this.#options.onDemand && Date.now() - this.#idleSince >= idleMs) return;
    }
  }

  /** Blobs and layers that nothing holds: of pulls that were given up, of images that somebody forgot. */
  async #collections(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await sleep(this.#options.collectMs ?? collectMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const { collectUnneeded } = await import("./collect.ts");
      await collectUnneeded(this.#internals, signal);
    }
  }

  /** Looking takes over every end, which plans what follows. */
  async #lookAtAll(): Promise<number> {
    const all = await observeAll(this.#internals);
    for (const { record, state } of all) {
      if (record.restart) this.#plan(record.id, new Date(record.restart.at));
      if (record.healthCheck && state.kind === "running") this.#follow(record.id);
    }
    return all.length;
  }

  /** Told at once of what other processes see. */
  async #followEvents(): Promise<void> {
    const { signal } = this.#over;
    try {
      for await (const { action, id } of this.#internals.events.read({ signal })) {
        if (action !== "die" && action !== "start") continue;
        this.#unfollow(id);
        const record = this.#internals.containers.read(id);
        if (record?.restart) this.#plan(id, new Date(record.restart.at));
        if (record?.healthCheck && action === "start") this.#follow(id);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #plan(id: string, due: Date): void {
    if (this.#timers.has(id)) return;
    const restart = () => {
      this.#timers.delete(id);
      this.#do(async () => {
        const { signal } = this.#over;
        const later = await restartIfDue(this.#internals, id, { signal });
        if (later && !signal.aborted) this.#plan(id, later);
      });
    };
    this.#timers.set(id, setTimeout(restart, Math.max(0, due.getTime() - Date.now())));
  }

  #follow(id: string): void {
    if (this.#followed.has(id)) return;
    const run = new AbortController();
    this.#followed.set(id, run);
    this.#do(async () => {
      try {
        const { followHealth } = await import("./health-monitor.ts");
        await followHealth(this.#internals, id, AbortSignal.any([run.signal, this.#over.signal]));
      } catch (error) {
        if (!run.signal.aborted) throw error;
      } finally {
        if (this.#followed.get(id) === run) this.#followed.delete(id);
      }
    });
  }

  /** The run is over: whoever waits for the next probe waits in vain. */
  #unfollow(id: string): void {
    this.#followed.get(id)?.abort();
    this.#followed.delete(id);
  }

  async #bringUp(id: string): Promise<void> {
    await startWithMachine(this.#internals, id, { signal: this.#over.signal });
  }

  /** What goes wrong with one container is told, and no other suffers from it. */
  #do(work: () => Promise<void>): void {
    const { logger } = this.#internals;
    const done = work().catch((error: unknown) => {
      if (this.#over.signal.aborted) return;
      const fields = isGantryError(error)
        ? { code: error.code, error: error.message }
        : { error: String(error) };
      logger.error("a container could not be kept up", fields);
    });
    this.#busy.add(done);
    void done.finally(() => this.#busy.delete(done));
  }
}
