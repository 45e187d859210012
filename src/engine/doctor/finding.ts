/** One thing that the doctor has looked at. */
export const areas = ["kernel", "cgroups", "users", "tools", "store", "leftovers"] as const;

export type Area = (typeof areas)[number];

export interface Finding {
  readonly area: Area;
  readonly name: string;
  /**
   * "failed": containers cannot run. "warning": something that can be asked for will be refused. "note": good to know.
   * "left": a crash has left it. "mended": it was left, and is gone.
   */
  readonly status: "ok" | "note" | "warning" | "failed" | "left" | "mended";
  /** What was found. */
  readonly detail: string;
  /** How to mend it. */
  readonly mend?: string;
}

/** Something that a crash has left, and how it is taken away. */
export interface Leftover {
  readonly name: string;
  readonly detail: string;
  remove(): Promise<void>;
}
