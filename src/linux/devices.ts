/**
 * Devices of containers: the nodes that every container has, the access rules that a runtime and
 * Docker give, and rules as lines of the v1 devices controller. For v2 see device-filter.ts.
 */
import { GantryError } from "../base/error.ts";
import type { LinuxDeviceCgroup } from "./resources.ts";

export interface DeviceNode {
  readonly path: string;
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly fileMode: number;
}

/** The nodes that runtime-spec demands in every container (config-linux.md "Default Devices"). */
export const defaultDevices: readonly DeviceNode[] = [
  { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666 },
  { path: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o666 },
  { path: "/dev/full", type: "c", major: 1, minor: 7, fileMode: 0o666 },
  { path: "/dev/random", type: "c", major: 1, minor: 8, fileMode: 0o666 },
  { path: "/dev/urandom", type: "c", major: 1, minor: 9, fileMode: 0o666 },
  { path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 0o666 },
];

/** Links that go with them: path -> target. */
export const defaultDeviceLinks: Readonly<Record<string, string>> = {
  "/dev/fd": "/proc/self/fd",
  "/dev/stdin": "/proc/self/fd/0",
  "/dev/stdout": "/proc/self/fd/1",
  "/dev/stderr": "/proc/self/fd/2",
  "/dev/ptmx": "pts/ptmx",
};

const allowed = (type: "c" | "b", major: number, minor: number, access = "rwm"): LinuxDeviceCgroup => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

/** Rules that a runtime adds after those of the config, as runc does (specconv AllowedDevices). */
export const runtimeDeviceRules: readonly LinuxDeviceCgroup[] = [
  // making a node is harmless, opening it is what the other rules govern
  allowed("c", -1, -1, "m"),
  allowed("b", -1, -1, "m"),
  ...defaultDevices.map(({ type, major, minor }) => allowed(type, major, minor)),
  allowed("c", 136, -1), // /dev/pts/*
  allowed("c", 5, 2), // /dev/ptmx
];

/** `linux.resources.devices` of a Docker container without options (moby, oci/defaults.go). */
export const dockerDeviceRules: readonly LinuxDeviceCgroup[] = [
  { allow: false, access: "rwm" },
  allowed("c", 1, 5),
  allowed("c", 1, 3),
  allowed("c", 1, 9),
  allowed("c", 1, 8),
  allowed("c", 5, 0),
  allowed("c", 5, 1),
  { allow: false, type: "c", major: 10, minor: 229, access: "rwm" }, // /dev/fuse
];

/** BPF_DEVCG_ACC_*: also the bits of an access as this module gives it. */
export const deviceAccess = { mknod: 1, read: 2, write: 4, all: 7 } as const;

/** A rule with its defaults resolved. */
export interface DeviceRule {
  readonly allow: boolean;
  readonly type: "a" | "b" | "c";
  /** Undefined: any. */
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly access: number;
}

/** Checks one rule of a config and resolves its defaults. */
export function parseDeviceRule(rule: LinuxDeviceCgroup, index: number): DeviceRule {
  const refuse = (reason: string): never => {
    throw new GantryError("invalid-argument", `read device rule ${index}: ${reason}`, {
      detail: { pointer: `/devices/${index}` },
    });
  };
  const type = rule.type === undefined || rule.type === "" ? "a" : rule.type;
  if (type !== "a" && type !== "b" && type !== "c")
    return refuse(`unknown type ${JSON.stringify(rule.type)}`);
  let access = 0;
  for (const letter of rule.access ? rule.access : "rwm") {
    if (letter === "r") access |= deviceAccess.read;
    else if (letter === "w") access |= deviceAccess.write;
    else if (letter === "m") access |= deviceAccess.mknod;
    else refuse(`unknown access ${JSON.stringify(letter)}`);
  }
  const number = (value: number | undefined, what: string): number | undefined => {
    if (value === undefined || value < 0) return undefined;
    return value <= 0x7fffffff ? value : refuse(`${what} ${value} is out of range`);
  };
  return {
    allow: rule.allow,
    type,
    major: number(rule.major, "major"),
    minor: number(rule.minor, "minor"),
    access,
  };
}

/** "c 1:3 rwm", the form of devices.allow and of OCI tools. */
export function deviceRuleText(rule: DeviceRule): string {
  const access = `${rule.access & 2 ? "r" : ""}${rule.access & 4 ? "w" : ""}${rule.access & 1 ? "m" : ""}`;
  return `${rule.type} ${rule.major ?? "*"}:${rule.minor ?? "*"} ${access}`;
}

/**
 * What is written to a v1 devices cgroup, in order. The kernel takes "a" for "all devices, all access,
 * forget every other rule", so a narrower rule for all types is written once for each type.
 */
export function deviceWritesV1(
  rules: readonly LinuxDeviceCgroup[],
): ReadonlyArray<{ readonly file: "devices.allow" | "devices.deny"; readonly value: string }> {
  const parsed = rules.map(parseDeviceRule);
  const last = parsed.findLastIndex(isForAll);
  return parsed.slice(Math.max(last, 0)).flatMap((rule) => {
    const file = rule.allow ? "devices.allow" : "devices.deny";
    const types = rule.type !== "a" || isForAll(rule) ? [rule.type] : (["b", "c"] as const);
    return types.map((type) => ({ file, value: deviceRuleText({ ...rule, type }) }) as const);
  });
}

/** A rule that leaves nothing of those before it. */
export function isForAll(rule: DeviceRule): boolean {
  return (
    rule.type === "a" &&
    rule.major === undefined &&
    rule.minor === undefined &&
    rule.access === deviceAccess.all
  );
}
