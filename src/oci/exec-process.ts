/** The process that `exec` asks for: a file that says all of it, or the container's own with flags over it. */
import { readFileSync } from "node:fs";
import { refuse } from "../base/decode.ts";
import { wrapErrno } from "../base/error.ts";
import { parseRuntimeJson, type RuntimeConfig } from "../spec/runtime-config.ts";
import { type RuntimeProcess, type RuntimeUser, runtimeProcess } from "../spec/runtime-process.ts";
import { type Flags, type FlagTable, usageError } from "./flags.ts";

export const processFlags: FlagTable = {
  process: { kind: "text", short: "p", help: "path to a file with the process as JSON" },
  cwd: { kind: "text", help: "current working directory in the container" },
  env: { kind: "texts", short: "e", help: "set an environment variable" },
  tty: { kind: "switch", short: "t", help: "allocate a pseudo-TTY" },
  user: { kind: "text", short: "u", help: "<uid>[:<gid>]" },
  "additional-gids": { kind: "texts", short: "g", help: "additional group id" },
  "process-label": { kind: "text", help: "set the SELinux label of the process" },
  apparmor: { kind: "text", help: "set the AppArmor profile of the process" },
  "no-new-privs": { kind: "switch", help: "set the no new privileges value for the process" },
  cap: { kind: "texts", short: "c", help: "add a capability to the bounding set of the process" },
};

/** A number is a number and nothing else: never a name that begins with digits (CVE-2016-3697), never cut to 32 bits. */
function identity(flag: string, text: string): number {
  const value = Number(text);
  // (uid_t) -1 means "no change" to the kernel
  if (!/^\d{1,10}$/.test(text) || value > 0xfffffffe)
    throw usageError(`--${flag}: ${JSON.stringify(text.slice(0, 100))} is not a numeric id`);
  return value;
}

/** As runc: the group stays the container's where only the user is given. */
function userOf(flags: Flags, own: RuntimeUser): RuntimeUser {
  const asked = flags.text("user");
  const parts = asked === undefined || asked === "" ? [] : asked.split(":");
  if (parts.length > 2)
    throw usageError(`--user: ${JSON.stringify(asked!.slice(0, 100))} is not <uid>[:<gid>]`);
  const [uid, gid] = parts;
  const further = flags.texts("additional-gids").map((text) => identity("additional-gids", text));
  return {
    ...own,
    ...(uid === undefined ? {} : { uid: identity("user", uid) }),
    ...(gid === undefined ? {} : { gid: identity("user", gid) }),
    ...(further.length === 0 ? {} : { additionalGids: [...(own.additionalGids ?? []), ...further] }),
  };
}

/** Never inheritable: a program with file capabilities would get them without asking (CVE-2022-29162). */
function capabilitiesOf(
  flags: Flags,
  own: RuntimeProcess["capabilities"] = {},
): RuntimeProcess["capabilities"] {
  const added = flags.texts("cap");
  return {
    ...own,
    bounding: [...(own.bounding ?? []), ...added],
    effective: [...(own.effective ?? []), ...added],
    permitted: [...(own.permitted ?? []), ...added],
  };
}

function ofFlags(flags: Flags, own: RuntimeProcess, args: readonly string[]): RuntimeProcess {
  const cwd = flags.text("cwd");
  if (cwd !== undefined && !cwd.startsWith("/")) refuse("/process/cwd", "Cwd must be an absolute path");
  const apparmorProfile = flags.text("apparmor");
  const selinuxLabel = flags.text("process-label");
  return {
    ...own,
    args: [...args],
    // the container's own terminal is none of this process's concern
    terminal: flags.has("tty"),
    user: userOf(flags, own.user ?? {}),
    env: [...(own.env ?? []), ...flags.texts("env")],
    ...(cwd === undefined ? {} : { cwd }),
    ...(apparmorProfile ? { apparmorProfile } : {}),
    ...(selinuxLabel ? { selinuxLabel } : {}),
    ...(flags.given("no-new-privs") ? { noNewPrivileges: flags.has("no-new-privs") } : {}),
    ...(flags.texts("cap").length === 0 ? {} : { capabilities: capabilitiesOf(flags, own.capabilities) }),
  };
}

function ofFile(file: string): RuntimeProcess {
  let text: Uint8Array;
  try {
    text = readFileSync(file);
  } catch (error) {
    throw wrapErrno(error, "open", file);
  }
  return parseRuntimeJson(text, runtimeProcess, "process file");
}

/** `args` is what follows the id. With a file the other flags of the process say nothing, as with runc and crun. */
export function execProcess(flags: Flags, config: RuntimeConfig, args: readonly string[]): RuntimeProcess {
  const file = flags.text("process");
  if (file) return ofFile(file);
  if (!config.process) refuse("/process", "process property must not be empty");
  return ofFlags(flags, config.process, args);
}
