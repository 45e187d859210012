/** The places of the store: whether they can be written, are private, and have room. */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isGantryError } from "../../base/error.ts";
import type { Internals } from "../internals.ts";
import { measureStore, totalBytes } from "../system/measure.ts";
import type { Finding } from "./finding.ts";

const roomBytes = 1e9;
const tmpfsType = 0x01021994;

export async function examineStore(internals: Internals): Promise<readonly Finding[]> {
  const { root, state } = internals.layout;
  return [
    ...place("root", root),
    ...place("state", state),
    ...openLayers(internals.layout.snapshots),
    ...volatility(state),
    ...room(root),
    ...(await limit(internals)),
  ];
}

function nearest(path: string): string {
  let at = path;
  while (!existsSync(at)) at = dirname(at);
  return at;
}

function place(name: "root" | "state", path: string): readonly Finding[] {
  const common = { area: "store", name: `${name} ${path}` } as const;
  const at = nearest(path);
  try {
    accessSync(at, constants.W_OK | constants.X_OK);
  } catch {
    const mend = `use another place: --${name}, or GANTRY_${name.toUpperCase()}`;
    return [{ ...common, status: "failed", detail: `${at} cannot be written`, mend }];
  }
  if (at !== path) return [{ ...common, status: "ok", detail: "will be made when it is needed" }];
  const { uid } = statSync(path);
  if (uid !== process.geteuid?.())
    return [
      {
        ...common,
        status: "failed",
        detail: `it belongs to user ${uid}: whoever owns it owns all containers`,
        mend: `chown ${process.geteuid?.()} ${path}`,
      },
    ];
  return [{ ...common, status: "ok", detail: "can be written" }];
}

/** Layers hold set-user-ID programs (CVE-2021-41103). */
function openLayers(path: string): readonly Finding[] {
  if (!existsSync(path) || (statSync(path).mode & 0o077) === 0) return [];
  const detail = "others may look into it, and run what is in it";
  return [{ area: "store", name: path, status: "warning", detail, mend: `chmod 700 ${path}` }];
}

/** What is there of running containers must be gone after a reboot. */
function volatility(state: string): readonly Finding[] {
  if (statfsSync(nearest(state)).type === tmpfsType || state.startsWith("/tmp/")) return [];
  return [
    {
      area: "store",
      name: `state ${state}`,
      status: "note",
      detail: "it is not on a tmpfs: each start of the machine is told from the last by its boot id",
    },
  ];
}

function room(root: string): readonly Finding[] {
  const at = nearest(root);
  const { bavail, bsize, files, ffree } = statfsSync(at);
  const free = bavail * bsize;
  const common = { area: "store", name: "room" } as const;
  if (free < roomBytes)
    return [
      {
        ...common,
        status: "warning",
        detail: `${(free / 1e6).toFixed(0)} MB are free`,
        mend: "gantry system prune -a",
      },
    ];
  if (files > 0 && ffree < 10_000)
    return [
      { ...common, status: "warning", detail: `${ffree} inodes are free`, mend: "gantry system prune -a" },
    ];
  return [{ ...common, status: "ok", detail: `${(free / 1e9).toFixed(1)} GB are free` }];
}

async function limit(internals: Internals): Promise<readonly Finding[]> {
  let cap: ReturnType<Internals["diskLimit"]>;
  try {
    cap = internals.diskLimit();
  } catch (error) {
    // told with the settings
    if (!isGantryError(error)) throw error;
    return [];
  }
  if (!cap) return [];
  const used = totalBytes(await measureStore(internals, { quick: true }));
  const detail = `${(used / 1e6).toFixed(0)} MB of ${(cap.bytes / 1e6).toFixed(0)} MB are taken`;
  const common = { area: "store", name: "disk limit", detail } as const;
  if (used < cap.bytes * 0.9) return [{ ...common, status: "ok" }];
  return [{ ...common, status: "warning", mend: "gantry system prune -a, or a higher limit" }];
}
