/** The cgroups of a container that is there already, as its state tells of them. */
import type { Step } from "../plan.ts";

export interface LivingCgroup {
  readonly version: number;
  /** Mount point of the hierarchy. */
  readonly mount: string;
  /** Below the mount point. */
  readonly path: string;
  /** v1: its controllers. */
  readonly controllers?: readonly string[] | undefined;
}

type Controlled = Pick<LivingCgroup, "version" | "controllers">;

/** The one in which a controller, or with version 2 anything of the v2 tree, is set. */
export function cgroupFor<C extends Controlled>(
  cgroups: readonly C[],
  version: 1 | 2,
  controller: string,
): C | undefined {
  return cgroups.find((one) =>
    version === 2 ? one.version === 2 : one.version === 1 && one.controllers?.includes(controller),
  );
}

export interface Freezer<C> {
  readonly cgroup: C;
  readonly version: 1 | 2;
  /** The file of that cgroup that freezes it, and says whether it is. */
  readonly file: string;
}

const freezerFiles = { 1: "freezer.state", 2: "cgroup.freeze" } as const;

/** The freezer: that of v1 where there is one, since what is frozen there is not thawed by the other. */
export function freezerOf<C extends Controlled>(cgroups: readonly C[]): Freezer<C> | undefined {
  for (const version of [1, 2] as const) {
    const cgroup = cgroupFor(cgroups, version, "freezer");
    if (cgroup) return { cgroup, version, file: freezerFiles[version] };
  }
  return undefined;
}

/** What `file` says of one that is frozen, or about to be. */
export const isFrozenState = (text: string): boolean => ["FROZEN", "FREEZING", "1"].includes(text.trim());

/** Opens cgroups when they are first asked for; a stage has an opener of its own. */
export class CgroupOpener {
  readonly #steps: Step[];
  readonly #known = new Map<LivingCgroup, string>();
  readonly #phrase: string;

  /** `steps`: where the opening goes. */
  constructor(steps: Step[], phrase: string) {
    this.#steps = steps;
    this.#phrase = phrase;
  }

  registerOf(cgroup: LivingCgroup): string {
    const known = this.#known.get(cgroup);
    if (known !== undefined) return known;
    const dir = `cgroup ${cgroup.mount}`;
    const { mount, path } = cgroup;
    this.#steps.push({ op: "open-cgroup", where: "", phrase: this.#phrase, mount, path, dir });
    this.#known.set(cgroup, dir);
    return dir;
  }
}
