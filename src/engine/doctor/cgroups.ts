/** The cgroup hierarchies: whether limits can be set, and cgroups be made. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "../../base/random.ts";
import { runPlan } from "../../launch/launch.ts";
import { probeCgroup } from "../../plan/compile/probe.ts";
import type { HostFacts } from "../../plan/host-facts.ts";
import type { Internals } from "../internals.ts";
import type { Finding } from "./finding.ts";
import { failureOf } from "./kernel.ts";

/** What options of a container need which controller. */
const controllers: Readonly<Record<string, string>> = {
  memory: "--memory",
  cpu: "--cpus, --cpu-shares",
  cpuset: "--cpuset-cpus",
  pids: "--pids-limit",
};

export async function examineCgroups(internals: Internals): Promise<readonly Finding[]> {
  const facts = internals.hostFacts();
  const { mode, unified } = facts.cgroups;
  if (mode === "none")
    return [
      {
        area: "cgroups",
        name: "hierarchies",
        status: "failed",
        detail: "no cgroup file system is mounted",
        mend: "mount -t cgroup2 none /sys/fs/cgroup",
      },
    ];
  const names = [...new Set([...facts.cgroups.controllers.keys(), ...facts.unifiedControllers])].sort();
  return [
    { area: "cgroups", name: "hierarchies", status: "ok", detail: `${mode}: ${names.join(", ")}` },
    ...Object.entries(controllers).flatMap(([name, options]) => missingController(facts, name, options)),
    ...devices(facts),
    ...swap(facts),
    ...(await makeable(internals)),
    ...(unified === undefined && mode === "v1"
      ? [
          {
            area: "cgroups",
            name: "v2",
            status: "note",
            detail: "there is no v2 hierarchy: killing all of a container takes longer",
          } as const,
        ]
      : []),
  ];
}

function missingController(facts: HostFacts, name: string, options: string): readonly Finding[] {
  if (facts.cgroups.controllers.has(name) || facts.unifiedControllers.includes(name)) return [];
  const mend =
    name === "memory"
      ? "boot with cgroup_enable=memory, or let systemd delegate it: Delegate=yes"
      : `let the parent cgroup hand it on: echo +${name} > cgroup.subtree_control`;
  return [
    {
      area: "cgroups",
      name: `controller ${name}`,
      status: "warning",
      detail: `it is not there: ${options} will be refused`,
      mend,
    },
  ];
}

/** v2 limits devices by programs of BPF, which need no controller. */
function devices({ cgroups }: HostFacts): readonly Finding[] {
  if (cgroups.mode !== "v1" || cgroups.controllers.has("devices")) return [];
  return [
    {
      area: "cgroups",
      name: "controller devices",
      status: "failed",
      detail: "it is not there: containers could make and use any device",
      mend: "mount -t cgroup -o devices none /sys/fs/cgroup/devices",
    },
  ];
}

function swap({ cgroups }: HostFacts): readonly Finding[] {
  const legacy = cgroups.controllers.get("memory");
  if (!legacy || existsSync(join(legacy.mountPoint, "memory.memsw.limit_in_bytes"))) return [];
  return [
    {
      area: "cgroups",
      name: "swap",
      status: "warning",
      detail: "swap is not counted: --memory-swap has no effect",
      mend: "boot with swapaccount=1",
    },
  ];
}

async function makeable(internals: Internals): Promise<readonly Finding[]> {
  if (process.geteuid?.() !== 0) return [];
  const { unified, controllers: legacy } = internals.hostFacts().cgroups;
  const mounts = [...new Set([...legacy.values(), ...(unified ? [unified] : [])])].map(
    (one) => one.mountPoint,
  );
  const findings: Finding[] = [];
  for (const mount of mounts) {
    const { make, remove } = probeCgroup(mount, `/gantry/doctor-${process.pid}-${randomHex(4)}`);
    const failure = await failureOf(internals, make);
    if (failure === undefined) await runPlan(remove, { executor: internals.executor() });
    else
      findings.push({
        area: "cgroups",
        name: mount,
        status: "failed",
        detail: failure,
        mend: `make it writable: mount -o remount,rw ${mount}`,
      });
  }
  return findings;
}
