/**
 * The streams of a program whose executor stays as its shim: pipes, or a terminal, which terminal.ts makes. Whoever
 * it runs as may open its /dev/stdout and the like again, so the pipes are that user's.
 */
import { toHostId } from "../../linux/id-map.ts";
import { type Step, syncPoints } from "../plan.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";
import { freezerOf } from "./living-cgroups.ts";
import { masterRegister } from "./terminal.ts";

/** Registers of the program's streams. */
const registers = {
  stdin: { child: "stdin", shim: "stdin of shim" },
  stdout: { child: "stdout", shim: "stdout of shim" },
  stderr: { child: "stderr", shim: "stderr of shim" },
} as const;

/** As the host numbers it; undefined where the ids of a user namespace are not known. */
function hostUser({ config, linux }: Draft): number | undefined {
  const { namespaces = [], uidMappings = [] } = linux;
  const uid = config.process?.user?.uid ?? 0;
  return namespaces.some(({ type }) => type === "user") ? toHostId(uidMappings, uid) : uid;
}

/** Before the clone. Says what the child puts on 0, 1 and 2. */
export function openShimStreams(draft: Draft, stdin: boolean): readonly (string | undefined)[] {
  if (draft.config.process?.terminal) return [];
  const { host } = draft;
  const ends = [stdin ? registers.stdin.child : undefined, registers.stdout.child, registers.stderr.child];
  if (stdin)
    host.push({ op: "make-pipe", where: "", read: registers.stdin.child, write: registers.stdin.shim });
  for (const name of ["stdout", "stderr"] as const)
    host.push({ op: "make-pipe", where: "", read: registers[name].shim, write: registers[name].child });
  const uid = hostUser(draft);
  const phrase = "unable to set stdio permissions";
  if (uid !== undefined && uid !== draft.facts.uid)
    for (const fd of ends)
      if (fd !== undefined) host.push({ op: "give-descriptor", where: "/process/user/uid", phrase, fd, uid });
  return ends;
}

/** Where the shim holds the container still and signals all of it: each of its cgroups has all of its processes. */
export function heldCgroup(
  cgroups: readonly ContainerCgroup[],
): { readonly cgroup: ContainerCgroup; readonly freezer: 0 | 1 | 2 } | undefined {
  const freezer = freezerOf(cgroups);
  if (freezer) return { cgroup: freezer.cgroup, freezer: freezer.version };
  const [cgroup] = cgroups;
  return cgroup && { cgroup, freezer: 0 };
}

/** The last of the host side: tells that the program runs, and stays. `cgroups`: of a whole container. */
export function supervise(
  { host, config }: Draft,
  stdin: boolean,
  stopSignal: number,
  cgroups: readonly ContainerCgroup[] = [],
): void {
  const held = heldCgroup(cgroups);
  const terminal = config.process?.terminal ?? false;
  host.push({ op: "report", where: "", point: syncPoints.started });
  host.push({
    op: "supervise",
    where: "",
    stdin: stdin && !terminal ? registers.stdin.shim : undefined,
    stdout: terminal ? undefined : registers.stdout.shim,
    stderr: terminal ? undefined : registers.stderr.shim,
    terminal: terminal ? masterRegister : undefined,
    stopSignal,
    cgroup: held?.cgroup.register,
    freezer: held?.freezer ?? 0,
  });
}

/** After the clone: else no end of file would ever come. */
export function closeEnds(host: Step[], ends: readonly (string | undefined)[]): void {
  for (const fd of ends) if (fd !== undefined) host.push({ op: "close", where: "", fd });
}
