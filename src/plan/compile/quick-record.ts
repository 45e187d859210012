/**
 * What native/quick.c needs to answer `state`, `start`, `kill`, `delete`, `pause` and `resume` by itself: a file of lines
 * beside state.json, in a form that needs no parser.
 *
 *     pid, start        of init, as state.json has them
 *     freezer PATH      its file that tells whether it is paused
 *     cgroup PATH       a directory that `delete` removes
 *     may VERB          nothing but what quick.c can do is to be done for this verb
 *     state             the rest of the file: what `state` prints, @STATUS@ and @NOW@ (its pid, or 0) to be filled in
 */
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import { freezerOf } from "./living-cgroups.ts";

export interface QuickContainer {
  readonly config: RuntimeConfig;
  readonly cgroups: readonly ContainerCgroup[];
  /** Whether `start` is to wait until the program says that it is ready. */
  readonly notifies: boolean;
  /** Whether the end of init is the end of all. */
  readonly ownPids: boolean;
  /** Whether `delete` has more to remove than cgroups: a group of resctrl, a unit of systemd. */
  readonly hasMore: boolean;
  /** Members of the state that do not change, in the order in which they are printed; `pid` and `created` among them. */
  readonly state: Readonly<Record<string, unknown>>;
}

const directoryOf = ({ hierarchy, path }: ContainerCgroup): string => `${hierarchy.mountPoint}${path}`;

export function quickRecord({ config, cgroups, notifies, ownPids, hasMore, state }: QuickContainer): string {
  const { startContainer = [], poststart = [], poststop = [] } = config.hooks ?? {};
  const freezer = freezerOf(cgroups);
  const lines = [
    "pid @PID@",
    "start @START@",
    ...(freezer ? [`freezer ${directoryOf(freezer.cgroup)}/${freezer.file}`] : []),
    ...cgroups.map((cgroup) => `cgroup ${directoryOf(cgroup)}`),
    // hooks before the program may fail, which start has to tell
    ...(startContainer.length + poststart.length === 0 && !notifies ? ["may start"] : []),
    ...(ownPids ? ["may kill"] : []),
    ...(ownPids && !hasMore && poststop.length === 0 ? ["may delete"] : []),
    "state",
  ];
  return `${lines.join("\n")}\n${stateText(state)}`;
}

/** Indented as JSON.stringify does it for the slower way. */
function stateText(state: QuickContainer["state"]): string {
  const late: Readonly<Record<string, string>> = { pid: "@NOW@", status: '"@STATUS@"', created: '"@TIME@"' };
  const members = Object.entries(state).map(([name, value]) => {
    const text =
      late[name] ?? JSON.stringify(value, null, 2).replaceAll("@", "\\u0040").replaceAll("\n", "\n  ");
    return `  ${JSON.stringify(name)}: ${text}`;
  });
  return `{\n${members.join(",\n")}\n}\n`;
}
