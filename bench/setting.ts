/** What a bench run works with: a folder, options, and the engines, opened when a row first asks for them. */
import { Scope } from "../src/base/scope.ts";
import { busyboxLayout, busyboxTar } from "../test/lib/fixtures.ts";
import { openGantry } from "./gantry.ts";
import { openContainerd } from "./peers/containerd.ts";
import { openDockerd } from "./peers/dockerd.ts";
import type { Peer } from "./peers/peer.ts";
import { openPodman } from "./peers/podman.ts";

export interface BenchOptions {
  /** Names of rows; all when empty. */
  readonly only: readonly string[];
  readonly engines: readonly string[];
  /** Rounds of the start and runtime rows. */
  readonly runs: number;
  /** Containers of the cycles and lives rows. */
  readonly cycles: number;
  /** Containers of the many row. */
  readonly many: number;
  /** Rounds of the pull row. */
  readonly pulls: number;
  readonly sizeBytes: number;
  readonly files: number;
  readonly layers: number;
  readonly write: boolean;
}

export const engineNames = ["gantry", "podman", "ctr", "docker"] as const;

export class Setting extends Scope {
  readonly dir: string;
  /** In memory, as /run is: what engines keep of running containers. */
  readonly volatile: string;
  readonly options: BenchOptions;
  readonly #peers = new Map<string, Peer | undefined>();

  constructor(dir: string, volatile: string, options: BenchOptions) {
    super();
    this.dir = dir;
    this.volatile = volatile;
    this.options = options;
  }

  /** The engines that this machine has and this run asked for, ready to work. */
  async engines(): Promise<Peer[]> {
    const peers: Peer[] = [];
    for (const name of this.options.engines) {
      const peer = await this.#engine(name);
      if (peer) peers.push(peer);
    }
    return peers;
  }

  async #engine(name: string): Promise<Peer | undefined> {
    if (!this.#peers.has(name)) {
      let peer: Peer | undefined;
      try {
        peer = this.use(await this.#open(name));
      } catch (error) {
        console.error(`${name} does not take part: ${error instanceof Error ? error.message : error}`);
      }
      this.#peers.set(name, peer);
    }
    return this.#peers.get(name);
  }

  async #open(name: string): Promise<Peer> {
    const [place, volatile] = [`${this.dir}/${name}`, `${this.volatile}/${name}`];
    switch (name) {
      case "gantry":
        return openGantry(place, volatile, await busyboxTar());
      case "podman":
        return openPodman(place, await busyboxLayout(), { volatile });
      case "ctr":
        return openContainerd(place, await busyboxLayout(), { volatile });
      case "docker":
        return openDockerd(place, await busyboxLayout(), { volatile });
      default:
        throw new Error(`no engine "${name}": one of ${engineNames.join(", ")}`);
    }
  }
}
