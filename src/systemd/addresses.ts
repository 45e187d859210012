/** Where systemd listens: the system's own for root, a user's own for everybody else. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

export interface BusAddress {
  /** Path of the socket. */
  readonly path: string;
  /** `peer`: systemd itself at the other end. `bus`: a message bus, on which systemd has a name. */
  readonly kind: "peer" | "bus";
}

/** True for a process whose root, if it is one at all, is that of a user namespace. */
export function isRootless(): boolean {
  if (process.geteuid?.() !== 0) return true;
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "utf8"));
}

/** The user outside of the namespace, if this process is in one. */
function ownUid(): number {
  const own = process.geteuid?.() ?? 0;
  for (const line of readFileSync("/proc/self/uid_map", "utf8").split("\n")) {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number) as [number, number, number];
    if (own >= inside && own < inside + count) return outside + own - inside;
  }
  return own;
}

/** The path in "unix:path=/run/user/1000/bus,guid=…", of the first address of a list that has one. */
export function socketPath(addresses: string): string | undefined {
  for (const address of addresses.split(";")) {
    const escaped = /^unix:(?:[^,]*,)*path=([^,]*)/.exec(address)?.[1];
    if (escaped === undefined || /%(?![0-9a-f]{2})/i.test(escaped)) continue;
    return decodeURIComponent(escaped);
  }
  return undefined;
}

/** Places to try, in order. systemd's own socket comes first: it works without a message bus, and is one hop less. */
export function busAddresses(user: boolean, env: Environment): readonly BusAddress[] {
  if (!user)
    return [
      { kind: "peer", path: "/run/systemd/private" },
      {
        kind: "bus",
        path: socketPath(env.DBUS_SYSTEM_BUS_ADDRESS ?? "") ?? "/run/dbus/system_bus_socket",
      },
    ];
  const runtime = env.XDG_RUNTIME_DIR || `/run/user/${ownUid()}`;
  return [
    { kind: "peer", path: join(runtime, "systemd/private") },
    { kind: "bus", path: socketPath(env.DBUS_SESSION_BUS_ADDRESS ?? "") ?? join(runtime, "bus") },
  ];
}
