/**
 * New limits for a living container -> plan. Its host stage writes them; its clean-up stage, which runs only when
 * a write has failed, writes back what was there, the last first: every state on the way back was one on the way.
 */
import { bug } from "../../base/error.ts";
import { undoValue } from "../../linux/cgroup-undo.ts";
import { compileDeviceFilter } from "../../linux/device-filter.ts";
import { deviceTransition } from "../../linux/device-transition.ts";
import type { PlacedWrite } from "../../linux/place-resources.ts";
import type { LinuxResources } from "../../linux/resources.ts";
import type { Plan, Step } from "../plan.ts";
import { atResources, deviceRules, writeStep } from "./cgroup-limits.ts";
import { freezeStep } from "./freeze.ts";
import { rdtPhrase } from "./intel-rdt.ts";
import { CgroupOpener, cgroupFor, freezerOf, type LivingCgroup } from "./living-cgroups.ts";

const where = "/linux/resources";
const openPhrase = "unable to open the cgroup";

export interface UpdateRequest {
  readonly cgroups: readonly LivingCgroup[];
  /** From placeResources. */
  readonly writes: readonly PlacedWrite[];
  /** The text of a file of a cgroup as it is now; undefined if there is no such file. */
  readonly before: (cgroup: LivingCgroup, file: string) => string | undefined;
  /** The rules before and after, if they change. */
  readonly devices?:
    | { readonly old: LinuxResources["devices"]; readonly new: LinuxResources["devices"] }
    | undefined;
  /** Whether the container stands still already. */
  readonly frozen: boolean;
  /** Lines for the container's group of resctrl, and what stood there. */
  readonly schemata?:
    | { readonly mount: string; readonly group: string; readonly value: string; readonly before: string }
    | undefined;
}

/** The cgroup that a write goes to. */
export function cgroupOfWrite<C extends LivingCgroup>(cgroups: readonly C[], write: PlacedWrite): C {
  const { version, controller } = write;
  return cgroupFor(cgroups, version, controller) ?? bug(`no cgroup for ${controller}`);
}

/** The file that there is, of the two that a write may name. */
function presentFile(request: UpdateRequest, cgroup: LivingCgroup, write: PlacedWrite) {
  const { file, value, otherwise } = write;
  return otherwise && request.before(cgroup, file) === undefined ? otherwise : { file, value };
}

interface Stages {
  readonly host: Step[];
  readonly hostOpener: CgroupOpener;
  /** In the order of the writes; turned round at the end. */
  readonly undo: Step[];
  readonly undoOpener: CgroupOpener;
}

function phraseFor(at: string): string {
  return `failed to set ${at}`;
}

function pushWrite(
  request: UpdateRequest,
  { host, hostOpener, undo, undoOpener }: Stages,
  write: PlacedWrite,
): void {
  const cgroup = cgroupOfWrite(request.cgroups, write);
  const at = `${where}${write.pointer}`;
  host.push(writeStep(hostOpener.registerOf(cgroup), write, at, phraseFor(at)));
  const { file, value } = presentFile(request, cgroup, write);
  const old = undoValue({ file, value }, request.before(cgroup, file));
  if (old === undefined) return;
  const dir = undoOpener.registerOf(cgroup);
  undo.push({
    op: "write-cgroup",
    where: at,
    phrase: `failed to undo ${at}`,
    dir,
    file,
    value: old,
    optional: 1,
  });
}

/** One line after the other; the container stands still where there would be a moment with too few rights. */
function pushDevicesV1(request: UpdateRequest, stages: Stages, cgroup: LivingCgroup, at: string): void {
  const rules = request.devices!;
  const { writes, undo, hasGap } = atResources(() =>
    deviceTransition(deviceRules(rules.old), deviceRules(rules.new)),
  );
  const freezer = hasGap && !request.frozen ? freezerOf(request.cgroups) : undefined;
  const { host, hostOpener, undoOpener } = stages;
  const dir = hostOpener.registerOf(cgroup);
  if (freezer) host.push(freezeStep(hostOpener.registerOf(freezer.cgroup), freezer.version, true));
  for (const { file, value } of writes)
    host.push({ op: "write-cgroup", where: at, phrase: phraseFor(at), dir, file, value, optional: 0 });
  if (freezer) host.push(freezeStep(hostOpener.registerOf(freezer.cgroup), freezer.version, false));
  const back = undoOpener.registerOf(cgroup);
  const thaw = freezer ? [freezeStep(undoOpener.registerOf(freezer.cgroup), freezer.version, false)] : [];
  const restore = undo.map(
    ({ file, value }): Step => ({
      op: "write-cgroup",
      where: at,
      phrase: `failed to undo ${at}`,
      dir: back,
      file,
      value,
      optional: 0,
    }),
  );
  stages.undo.push(...[...restore, ...thaw].reverse());
}

function pushDevices(request: UpdateRequest, stages: Stages): void {
  const rules = request.devices;
  if (!rules) return;
  const at = `${where}/devices`;
  const v1 = cgroupFor(request.cgroups, 1, "devices");
  if (v1) {
    pushDevicesV1(request, stages, v1, at);
    return;
  }
  const v2 = cgroupFor(request.cgroups, 2, "devices");
  if (!v2) return;
  const program = (devices: LinuxResources["devices"]) =>
    atResources(() => compileDeviceFilter(deviceRules(devices)));
  const step = (dir: string, devices: LinuxResources["devices"]): Step => ({
    op: "set-device-filter",
    where: at,
    phrase: phraseFor(at),
    dir,
    program: program(devices),
  });
  stages.host.push(step(stages.hostOpener.registerOf(v2), rules.new));
  stages.undo.push(step(stages.undoOpener.registerOf(v2), rules.old));
}

const groupRegister = "resctrl group";

/** Cache and memory bandwidth, which lie in another file system. */
function pushSchemata({ schemata }: UpdateRequest, { host, undo }: Stages): void {
  if (!schemata) return;
  const { mount, group, value, before } = schemata;
  const at = "/linux/intelRdt";
  const writing = (text: string): Step[] => [
    {
      op: "make-resctrl-group",
      where: at,
      phrase: rdtPhrase,
      mount,
      path: group,
      make: 0,
      dir: groupRegister,
    },
    { op: "write-schemata", where: at, phrase: rdtPhrase, dir: groupRegister, mount, value: text },
    { op: "close", where: at, fd: groupRegister },
  ];
  host.push(...writing(value));
  undo.push(...writing(before).reverse());
}

export function compileUpdate(request: UpdateRequest): Plan {
  const host: Step[] = [];
  const opened: Step[] = [];
  const stages: Stages = {
    host,
    hostOpener: new CgroupOpener(host, openPhrase),
    undo: [],
    undoOpener: new CgroupOpener(opened, openPhrase),
  };
  for (const write of request.writes) pushWrite(request, stages, write);
  pushDevices(request, stages);
  pushSchemata(request, stages);
  return { host, child: [], cleanup: [...opened, ...stages.undo.reverse()] };
}
