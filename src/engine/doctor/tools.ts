/** Programs that Gantry uses, and ids that a user may map. */
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { errnoOf, isGantryError, wrapErrno } from "../../base/error.ts";
import { runPlan } from "../../launch/launch.ts";
import type { Internals } from "../internals.ts";
import { settingsPath } from "../settings.ts";
import type { Finding } from "./finding.ts";

export async function examineTools(internals: Internals): Promise<readonly Finding[]> {
  const { programPath } = internals.hostFacts();
  const findings: Finding[] = [await executor(internals)];
  const useful: readonly (readonly [name: string, use: string, mend: string])[] = [
    ["criu", "checkpoint and restore", "apt-get install criu"],
    ["ps", "gantry-oci ps", "apt-get install procps"],
  ];
  for (const [name, use, mend] of useful) {
    const path = programPath(name);
    if (path === undefined)
      findings.push({
        area: "tools",
        name,
        status: "note",
        detail: `not installed: needed for ${use}`,
        mend,
      });
    else findings.push({ area: "tools", name, status: "ok", detail: path });
  }
  return [...findings, ...runtimes(internals)];
}

async function executor(internals: Internals): Promise<Finding> {
  const common = { area: "tools", name: "gantry-executor" } as const;
  try {
    const path = internals.executor();
    // an empty plan: it starts, and runs from sealed memory
    await runPlan({ host: [], child: [], cleanup: [] }, { executor: path });
    return { ...common, status: "ok", detail: path };
  } catch (error) {
    if (!isGantryError(error)) throw error;
    const mend = "build it (npm run build), or name it: GANTRY_EXECUTOR=/path/to/gantry-executor";
    return { ...common, status: "failed", detail: error.message, mend };
  }
}

function runtimes(internals: Internals): readonly Finding[] {
  let named: Readonly<Record<string, string>>;
  try {
    named = internals.settings().runtimes ?? {};
  } catch (error) {
    if (!isGantryError(error)) throw error;
    const mend = `correct ${settingsPath()}`;
    return [{ area: "tools", name: "settings", status: "failed", detail: error.message, mend }];
  }
  return Object.entries(named).map(([name, path]): Finding => {
    const common = { area: "tools", name: `runtime ${name}` } as const;
    if (isExecutable(path)) return { ...common, status: "ok", detail: path };
    const mend = `install it, or correct ${settingsPath()}`;
    return { ...common, status: "failed", detail: `${path} cannot be executed`, mend };
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Only who is not root needs ranges of ids, and programs that may map them. */
export function examineUsers(internals: Internals): readonly Finding[] {
  const facts = internals.hostFacts();
  if (facts.uid === 0)
    return [{ area: "users", name: "root", status: "ok", detail: "runs containers, without ranges of ids" }];
  const { username } = userInfo();
  return [
    {
      area: "users",
      name: username,
      status: "failed",
      detail: "the engine starts containers only as root yet; gantry-oci serves every user",
      mend: "run gantry as root (sudo)",
    },
    ...(["subuid", "subgid"] as const).map((file) => idRange(file, username, facts.uid)),
    ...(["newuidmap", "newgidmap"] as const).flatMap((name) => mapHelper(name, facts.programPath(name))),
  ];
}

/** What rootless images with many users need. */
const idsNeeded = 65_536;

function idRange(file: "subuid" | "subgid", username: string, uid: number): Finding {
  const path = `/etc/${file}`;
  const count = countOf(path, [username, String(uid)]);
  const common = { area: "users", name: path } as const;
  if (count >= idsNeeded) return { ...common, status: "ok", detail: `${count} ids for ${username}` };
  const option = file === "subuid" ? "--add-subuids" : "--add-subgids";
  return {
    ...common,
    status: "warning",
    detail: `${count} ids for ${username}: images with other users than root need ${idsNeeded}`,
    mend: `usermod ${option} 100000-165535 ${username}`,
  };
}

function countOf(path: string, names: readonly string[]): number {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return 0;
    throw wrapErrno(error, "read ranges of ids", path);
  }
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([name]) => name !== undefined && names.includes(name))
    .reduce((sum, [, , size]) => sum + (Number(size) || 0), 0);
}

function mapHelper(name: string, path: string | undefined): readonly Finding[] {
  const common = { area: "users", name } as const;
  const mend = "apt-get install uidmap";
  if (path === undefined) return [{ ...common, status: "warning", detail: "not installed", mend }];
  return [{ ...common, status: "ok", detail: path }];
}
