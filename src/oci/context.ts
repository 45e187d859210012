/** What every verb of the OCI command gets. */
import type { Logger } from "../base/log.ts";
import type { CgroupManager } from "./cgroup-manager.ts";
import type { Flags, FlagTable } from "./flags.ts";
import type { LogTarget } from "./tell-failure.ts";

export interface OciContext {
  /** --root */
  readonly root: string;
  /** --rootless, unless it is auto. */
  readonly rootless: boolean | undefined;
  readonly log: Logger;
  /** Where that log and errors go. */
  readonly logTarget: LogTarget;
  readonly cgroupManager: CgroupManager;
  /** --debug */
  readonly debug: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Prints to stdout. */
  print(text: string): void;
}

export interface Verb {
  readonly usage: string;
  readonly help: string;
  readonly flags: FlagTable;
  /** Fewest and most arguments. */
  readonly arguments: readonly [least: number, most: number];
  /** Returns the exit status. */
  run(context: OciContext, flags: Flags): Promise<number> | number;
}
