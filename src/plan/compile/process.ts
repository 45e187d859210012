/** `process`: what the child does to itself after pivot, up to becoming the program. */
import { refuse } from "../../base/decode.ts";
import { toHostId } from "../../linux/id-map.ts";
import type { SeccompFilter } from "../../linux/seccomp/compile.ts";
import type { RuntimeProcess } from "../../spec/runtime-process.ts";
import { meetings } from "../meetings.ts";
import { type CapabilityMasks, dropBounding, setCapabilities } from "./capabilities.ts";
import { type Draft, procRegister } from "./draft.ts";
import { runHooks } from "./hooks.ts";
import { loadFilter } from "./load-filter.ts";
import type { NamespacePlan } from "./namespaces.ts";
import { setRlimits } from "./rlimits.ts";
import { setScheduling } from "./scheduling.ts";
import { takeStdio } from "./terminal.ts";

/** runc's and crun's default; the specification leaves it open. */
const defaultUmask = 0o022;

export function processOf(draft: Draft): RuntimeProcess & { readonly args: readonly string[] } {
  const { process } = draft.config;
  if (!process) refuse("/process", "process property must not be empty");
  const { args } = process;
  if (!args || args.length === 0) refuse("/process/args", "args must not be empty");
  if (args[0] === "") refuse("/process/args/0", "the program must have a name");
  for (const [index, entry] of (process.env ?? []).entries())
    if (entry.indexOf("=") < 1)
      refuse(`/process/env/${index}`, `invalid environment variable: ${JSON.stringify(entry.slice(0, 100))}`);
  checkIds(draft, process);
  checkLabels(draft, process);
  return { ...process, args };
}

function checkIds(draft: Draft, { user }: RuntimeProcess): void {
  const { uidMappings, gidMappings, namespaces = [] } = draft.linux;
  if (!namespaces.some(({ type, path }) => type === "user" && !path)) return;
  const check = (mappings: typeof uidMappings, id: number, pointer: string) => {
    if (toHostId(mappings ?? [], id) === undefined)
      refuse(pointer, `${id} is not mapped in the user namespace`);
  };
  check(uidMappings, user?.uid ?? 0, "/process/user/uid");
  check(gidMappings, user?.gid ?? 0, "/process/user/gid");
  for (const [index, gid] of (user?.additionalGids ?? []).entries())
    check(gidMappings, gid, `/process/user/additionalGids/${index}`);
}

/** Asks the host only where there is a label: what is looked up here is a file of sysfs each time. */
function checkLabels({ facts }: Draft, { apparmorProfile, selinuxLabel }: RuntimeProcess): void {
  if (apparmorProfile && apparmorProfile !== "unconfined" && !facts.securityModules.includes("apparmor"))
    refuse("/process/apparmorProfile", "apparmor is not enabled on this host");
  if (selinuxLabel && !facts.securityModules.includes("selinux"))
    refuse("/process/selinuxLabel", "selinux is not enabled on this host");
}

function hasLabel(draft: Draft): boolean {
  const { apparmorProfile, selinuxLabel } = draft.config.process ?? {};
  return (
    Boolean(apparmorProfile && draft.facts.securityModules.includes("apparmor")) || Boolean(selinuxLabel)
  );
}

export function needsProcForProcess(draft: Draft): boolean {
  const { mode } = draft.request;
  return hasLabel(draft) || (mode.kind === "oci" && mode.awaitStart);
}

/** Takes effect at exec, so a transition of domain needs no rights afterwards. */
function setLabels(draft: Draft): void {
  const { apparmorProfile, selinuxLabel } = draft.config.process ?? {};
  const write = (where: string, phrase: string, path: string, value: string) =>
    draft.child.push({ op: "write-proc", where, phrase, proc: procRegister, path, value });
  if (apparmorProfile && draft.facts.securityModules.includes("apparmor"))
    write(
      "/process/apparmorProfile",
      "unable to apply apparmor profile",
      "self/attr/apparmor/exec",
      `exec ${apparmorProfile}`,
    );
  if (selinuxLabel)
    write("/process/selinuxLabel", "unable to set selinux label", "self/attr/exec", selinuxLabel);
}

/** The groups must be set even if there are none: else those of the caller stay. */
function setUser(draft: Draft): void {
  const { uid = 0, gid = 0, additionalGids = [] } = draft.config.process?.user ?? {};
  const { gidMappings, namespaces = [] } = draft.linux;
  // a map of the own group alone was bought with denying setgroups (user_namespaces(7)); what is denied stays so below
  const denied =
    draft.facts.setgroupsDenied ||
    (draft.facts.uid !== 0 &&
      namespaces.some(({ type, path }) => type === "user" && !path) &&
      gidMappings?.length === 1 &&
      gidMappings[0]!.size === 1);
  if (denied && additionalGids.length > 0)
    refuse("/process/user/additionalGids", "cannot be set without privileges and with a single group");
  draft.child.push({
    op: "set-user",
    where: "/process/user",
    phrase: "unable to set the user",
    uid,
    gid,
    // docker names a group twice that both the image and its user ask for
    groups: [...new Set(additionalGids)],
    setGroups: denied ? 0 : 1,
  });
}

function findProgram(draft: Draft, args: readonly string[], env: readonly string[]): void {
  const search = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length);
  draft.child.push({
    op: "find-program",
    where: "/process/args/0",
    // the detail says all, in the words that callers of runc look for
    phrase: "unable to start container process",
    name: args[0]!,
    directories: search ? search.split(":") : [],
  });
}

/** Later entries win, as with the environment that a shell would build. */
function uniqueEnvironment(env: readonly string[]): readonly string[] {
  const entries = new Map<string, string>();
  for (const entry of env) entries.set(entry.slice(0, entry.indexOf("=")), entry);
  return [...entries.values()];
}

export interface ProcessParts {
  readonly namespaces: NamespacePlan;
  readonly capabilities: CapabilityMasks;
  readonly filter: SeccompFilter | undefined;
  /** Registers for stdin, stdout and stderr; nothing is what was inherited. */
  readonly stdio: readonly (string | undefined)[];
  /** What comes when all is done that could fail and the last filter is not yet loaded, which might forbid it. */
  readonly beforeFilter?: (() => void) | undefined;
}

/**
 * The order is bound by privileges. Limits, scheduling, labels and the bounding set need those that
 * set-user gives up. Without no_new_privs the filter needs CAP_SYS_ADMIN, so it comes before the
 * capabilities go, and what follows runs under it; with no_new_privs it is the last act.
 */
export function becomeProgram(draft: Draft, parts: ProcessParts): void {
  const { capabilities, filter, stdio } = parts;
  const process = processOf(draft);
  const { child } = draft;
  const { mode } = draft.request;
  const env = uniqueEnvironment(process.env ?? []);
  const filterComesLast = Boolean(process.noNewPrivileges);

  child.push({ op: "set-umask", where: "/process/user/umask", mask: process.user?.umask ?? defaultUmask });
  // exec has set them with the privileges that it had before it joined the container
  if (mode.kind !== "exec") setRlimits(draft);
  setScheduling(draft);
  if (mode.kind === "engine" || !mode.noNewKeyring)
    child.push({
      op: "new-keyring",
      where: "",
      phrase: "unable to join session keyring",
      name: `_ses.${draft.request.id}`,
    });
  // a file of the host's /dev would be a way to that, and a mount that no checkpoint knows
  child.push({ op: "set-stdio", where: "", stdin: stdio[0], stdout: stdio[1], stderr: stdio[2], null: 1 });
  takeStdio(draft.child, process, mode);
  child.push({
    op: "set-cwd",
    where: "/process/cwd",
    phrase: `chdir to cwd (${JSON.stringify(process.cwd)}) set in config.json failed`,
    path: process.cwd,
    // as with runc: made for the container, not for a process that joins it
    create: mode.kind === "exec" ? 0 : 1,
  });
  setLabels(draft);
  dropBounding(draft, capabilities);
  // marks them only, and before any filter, which need not allow close_range
  child.push({
    op: "close-descriptors",
    where: "",
    keep: mode.kind === "engine" ? 0 : (mode.preserveFds ?? 0),
  });
  if (filter && !filterComesLast) {
    parts.beforeFilter?.();
    loadFilter(draft, filter);
  }
  setUser(draft);
  setCapabilities(draft, capabilities);
  if (!env.some((entry) => entry.startsWith("HOME=")))
    child.push({ op: "default-home", where: "/process/env", uid: process.user?.uid ?? 0 });
  if (mode.kind === "oci" && mode.listens) child.push({ op: "set-listen-pid", where: "" });
  findProgram(draft, process.args, env);
  if (process.noNewPrivileges) child.push({ op: "set-no-new-privileges", where: "/process/noNewPrivileges" });
  // whoever shall have its listener is gone when the program is let go on
  const early = mode.kind === "oci" && mode.awaitStart && filter?.listener === true && filterComesLast;
  if (early) loadFilter(draft, filter);
  if (mode.kind === "oci" && mode.awaitStart) awaitStart(draft);
  draft.closeProc();
  if (mode.kind !== "exec") runHooks(draft, child, "startContainer", "created");
  if (!filter || filterComesLast) parts.beforeFilter?.();
  if (filter && filterComesLast && !early) loadFilter(draft, filter);
  if (mode.kind === "engine" || (mode.kind === "exec" && mode.shim))
    child.push({ op: "set-death-signal", where: "", signal: 9 });
  child.push({
    op: "exec",
    where: "/process/args",
    phrase: "unable to start container process",
    args: process.args,
    env,
  });
}

/** Register of the fifo at which the program waits for `start`. */
export const fifoRegister = "exec fifo";

function awaitStart(draft: Draft): void {
  draft.child.push({ op: "tell-host", where: "", step: meetings.ready });
  draft.child.push({ op: "await-start", where: "", fifo: fifoRegister, proc: procRegister });
}
