/** What every verb of the OCI command gets. */
import type { Logger } from "../base/log.ts";
import type { CgroupManager } from "./cgroup-manager.ts";
import type { Flags, FlagTable } from "./flags.ts";
import type { LogTarget } from "./tell-failure.ts";

/** What the flags before the verb say. */
export interface OciSettings {
  /** --root */
  readonly root: string;
  /** --rootless, unless it is auto. */
  readonly rootless: boolean | undefined;
  /** Where the log and errors go. */
  readonly logTarget: LogTarget;
  readonly cgroupManager: CgroupManager;
  /** --debug */
  readonly debug: boolean;
}

export interface OciContext extends OciSettings {
  readonly log: Logger;
  /** The whole command line, without the name of the command. */
  readonly argv: readonly string[];
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
