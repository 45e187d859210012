/**
 * The cap on what a store takes of the disk. Images, containers, volumes, logs and all that is on its way in share it; a
 * log counts with the most that it may grow to. Who brings something in says so byte by byte before it is written, so
 * the cap is passed by no more than what is under way at that moment. What a program writes to its root cannot be held
 * back, but at the cap nothing new is brought in and nothing is started.
 */
import { GantryError } from "../../base/error.ts";
import { collectGarbage } from "../../images/garbage.ts";
import type { ContainerRecord } from "../containers/container-record.ts";
import { garbageDeps } from "../images/garbage-deps.ts";
import type { Internals } from "../internals.ts";
import { type Measured, measureStore, totalBytes } from "./measure.ts";

export interface DiskLimit {
  readonly bytes: number;
  /** Whether images that no container was made of go before anything is refused. */
  readonly prunes: boolean;
}

type Log = Pick<ContainerRecord, "log">["log"];

/** The most that a log may take. */
export function logCap({ format, limitBytes, files }: Log): number {
  return format === "none" ? 0 : limitBytes * files;
}

export class DiskBudget {
  readonly #internals: Internals;
  readonly #limit: DiskLimit;
  readonly #what: string;
  #freeBytes: number | undefined;
  #making: Promise<void> | undefined;

  /** `what` is what cannot be done at the cap: `pull "busybox"`. */
  constructor(internals: Internals, limit: DiskLimit, what: string) {
    this.#internals = internals;
    this.#limit = limit;
    this.#what = what;
  }

  /** Takes `bytes` of what is free; resource-exhausted where that is not there and cannot be made. */
  async take(bytes: number, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.expect(bytes, options);
    this.#freeBytes! -= bytes;
  }

  /** The same for what is only announced. */
  async expect(bytes: number, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#freeBytes !== undefined && bytes <= this.#freeBytes) return;
    // several layers at once ask for room: it is made for all of them
    this.#making ??= this.#makeRoom(bytes, options).finally(() => {
      this.#making = undefined;
    });
    await this.#making;
    if (bytes > this.#freeBytes!) throw await this.#refusal(bytes);
  }

  async #makeRoom(bytes: number, options: { readonly signal?: AbortSignal }): Promise<void> {
    await this.#measure(options);
    if (bytes <= this.#freeBytes!) return;
    const { logger } = this.#internals;
    await using layers = await this.#internals.openLayers();
    await collectGarbage(garbageDeps(this.#internals, layers), options);
    await this.#measure(options);
    if (bytes <= this.#freeBytes! || !this.#limit.prunes) return;
    const { pruneImages } = await import("./prune.ts");
    const { untagged } = await pruneImages(this.#internals, { all: true, ...options });
    logger.warn("images without containers were removed: the disk limit was reached", { images: untagged });
    await this.#measure(options);
  }

  async #measure(options: { readonly signal?: AbortSignal }): Promise<Measured> {
    const measured = await measureStore(this.#internals, { quick: true, ...options });
    this.#freeBytes = this.#limit.bytes - totalBytes(measured) - logRoom(measured);
    return measured;
  }

  async #refusal(bytes: number): Promise<GantryError> {
    const measured = await this.#measure({});
    const containers = measured.containers.reduce((sum, one) => sum + one.writtenBytes + one.ownBytes, 0);
    const images = totalBytes({ ...measured, containers: [], volumes: new Map() });
    const volumes = [...measured.volumes.values()].reduce((sum, size) => sum + size, 0);
    const logs = logRoom(measured);
    const free = Math.max(0, this.#freeBytes!);
    return new GantryError(
      "resource-exhausted",
      `${this.#what}: the disk limit of ${megabytes(this.#limit.bytes)} leaves ${megabytes(free)}: images take ${megabytes(images)}, containers ${megabytes(containers)}, volumes ${megabytes(volumes)}, and logs may grow by ${megabytes(logs)}; remove what is not needed (gantry system prune -a) or raise the limit`,
      {
        detail: {
          limitBytes: this.#limit.bytes,
          freeBytes: free,
          neededBytes: bytes,
          images,
          containers,
          logs,
        },
      },
    );
  }
}

/** What logs may grow by, as far as they have not grown yet. */
function logRoom({ containers }: Measured): number {
  return containers.reduce(
    (sum, { record, ownBytes }) => sum + Math.max(0, logCap(record.log) - ownBytes),
    0,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** Before a container is made or started: its log must fit, and the store must not be past the cap already. */
export async function checkDisk(
  internals: Internals,
  limit: DiskLimit,
  what: string,
  log: Log | undefined,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  if (log && log.format !== "none" && log.limitBytes === 0)
    throw new GantryError(
      "invalid-argument",
      `${what}: a log without a bound cannot be had where a disk limit is set (--log-opt max-size)`,
    );
  await new DiskBudget(internals, limit, what).expect(log ? logCap(log) : 0, options);
}
