/**
 * `linux.intelRdt`: the resctrl group of the container. One that the config names is shared and stays; one without
 * a name is the container's own, is called after it and goes with it, and so does its monitoring group.
 */
import { refuse } from "../../base/decode.ts";
import { GantryError } from "../../base/error.ts";
import type { RuntimeLinux } from "../../spec/runtime-linux.ts";
import type { Draft } from "./draft.ts";

const where = "/linux/intelRdt";
export const rdtPhrase = "unable to apply Intel RDT configuration";

/** Groups below the mount, by path: that of the class of service, and that for monitoring. */
export interface ResctrlGroups {
  readonly mount: string;
  readonly group: string;
  readonly monitoring: string | undefined;
  /** What goes with the container, the innermost first. */
  readonly own: readonly string[];
}

export type IntelRdt = NonNullable<RuntimeLinux["intelRdt"]>;

/** Lines for the file `schemata`: MB: of memBwSchema stands for that of l3CacheSchema, `schemata` comes last. */
export function schemataOf({ l3CacheSchema, memBwSchema, schemata = [] }: IntelRdt): readonly string[] {
  const cache = (l3CacheSchema ?? "")
    .split("\n")
    .filter((line) => line !== "" && !(memBwSchema && line.startsWith("MB:")));
  return [...cache, ...(memBwSchema ? [memBwSchema] : []), ...schemata];
}

export function resctrlOf(draft: Draft): ResctrlGroups | undefined {
  const { intelRdt } = draft.linux;
  if (!intelRdt) return undefined;
  const { closID = "" } = intelRdt;
  if (closID !== "/" && (closID === "." || closID === ".." || /[/\n]/.test(closID)))
    refuse(`${where}/closID`, `invalid intelRdt.ClosID ${JSON.stringify(closID)}`);
  for (const [index, line] of (intelRdt.schemata ?? []).entries())
    if (line.includes("\n") || line === "")
      refuse(`${where}/schemata/${index}`, `${JSON.stringify(line)} is not one line of a schemata file`);
  const mount = draft.facts.resctrl;
  if (mount === undefined)
    throw new GantryError(
      "failed-precondition",
      `${where}: intelRdt is specified in config, but Intel RDT is not enabled: no resctrl file system is mounted`,
      { detail: { pointer: where } },
    );
  const { id } = draft.request;
  const group = closID === "" ? `/${id}` : closID === "/" ? "/" : `/${closID}`;
  const monitoring = intelRdt.enableMonitoring ? `${group === "/" ? "" : group}/mon_groups/${id}` : undefined;
  const own = [...(monitoring === undefined ? [] : [monitoring]), ...(closID === "" ? [group] : [])];
  return { mount, group, monitoring, own };
}

const groupRegister = "resctrl group";
const monitoringRegister = "resctrl monitoring group";

/** On the host side, once the child exists and before it becomes the program. */
export function joinResctrl(draft: Draft): void {
  const groups = resctrlOf(draft);
  if (!groups) return;
  const intelRdt = draft.linux.intelRdt!;
  const { mount, group, monitoring, own } = groups;
  const lines = schemataOf(intelRdt);
  for (const path of own) draft.cleanup.push({ op: "remove-resctrl-group", where, mount, path });
  // a class that the config only names must have been set up by somebody
  const make = intelRdt.closID && lines.length === 0 ? 0 : 1;
  draft.host.push({
    op: "make-resctrl-group",
    where: `${where}/closID`,
    phrase: rdtPhrase,
    mount,
    path: group,
    make,
    dir: groupRegister,
  });
  if (lines.length > 0)
    draft.host.push({
      op: "write-schemata",
      where: intelRdt.schemata ? `${where}/schemata` : where,
      phrase: rdtPhrase,
      dir: groupRegister,
      mount,
      value: lines.map((line) => `${line}\n`).join(""),
    });
  draft.host.push({ op: "join-resctrl-group", where, phrase: rdtPhrase, dir: groupRegister });
  draft.host.push({ op: "close", where, fd: groupRegister });
  if (monitoring === undefined) return;
  draft.host.push({
    op: "make-resctrl-group",
    where: `${where}/enableMonitoring`,
    phrase: rdtPhrase,
    mount,
    path: monitoring,
    make: 1,
    dir: monitoringRegister,
  });
  draft.host.push({
    op: "join-resctrl-group",
    where: `${where}/enableMonitoring`,
    phrase: rdtPhrase,
    dir: monitoringRegister,
  });
  draft.host.push({ op: "close", where, fd: monitoringRegister });
}
