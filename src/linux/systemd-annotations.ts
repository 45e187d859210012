/**
 * Annotations "org.systemd.property.NAME" -> properties of the container's unit, as runc and crun take them.
 *
 * Who writes annotations is often not who owns the machine, and a unit can do much: start other units, reboot the
 * machine when it fails (CVE-2024-3154 was of this class). So only properties pass that limit, order or end the unit
 * itself. Where it lies, which processes are in it and which devices they reach are the runtime's to say.
 */
import { GantryError } from "../base/error.ts";
import { parseGVariant, type TypedValue } from "./gvariant-text.ts";
import type { UnitProperty } from "./systemd-properties.ts";

export const annotationPrefix = "org.systemd.property.";

/** Property -> the D-Bus type that systemd wants. */
const allowed: Readonly<Record<string, string>> = {
  // the end of the unit
  ...{ CollectMode: "s", TimeoutStopUSec: "t", RuntimeMaxUSec: "t", RuntimeRandomizedExtraUSec: "t" },
  ...{ KillMode: "s", KillSignal: "i", RestartKillSignal: "i", FinalKillSignal: "i", WatchdogSignal: "i" },
  ...{ SendSIGKILL: "b", SendSIGHUP: "b", OOMPolicy: "s" },
  // its order among others, and what people read of it
  ...{ After: "as", Before: "as", DefaultDependencies: "b", Description: "s", Documentation: "as" },
  // resources
  ...{ CPUWeight: "t", StartupCPUWeight: "t", CPUQuotaPerSecUSec: "t", CPUQuotaPeriodUSec: "t" },
  ...{ AllowedCPUs: "ay", StartupAllowedCPUs: "ay", AllowedMemoryNodes: "ay" },
  ...{ MemoryMin: "t", MemoryLow: "t", MemoryHigh: "t", MemoryMax: "t", MemorySwapMax: "t" },
  ...{ MemoryZSwapMax: "t", DefaultMemoryLow: "t", DefaultMemoryMin: "t", TasksMax: "t" },
  ...{ IOWeight: "t", StartupIOWeight: "t", IODeviceWeight: "a(st)", IODeviceLatencyTargetUSec: "a(st)" },
  ...{ IOReadBandwidthMax: "a(st)", IOWriteBandwidthMax: "a(st)" },
  ...{ IOReadIOPSMax: "a(st)", IOWriteIOPSMax: "a(st)", IPAccounting: "b" },
  ...{ ManagedOOMSwap: "s", ManagedOOMMemoryPressure: "s", ManagedOOMMemoryPressureLimit: "u" },
  ...{ ManagedOOMPreference: "s" },
};

/** "TimeoutStopSec" is what people know; over D-Bus the property is TimeoutStopUSec, in microseconds. */
function inMicroseconds(name: string, { signature, value }: TypedValue): readonly [string, TypedValue] {
  const base = /^(.*[a-z])Sec$/.exec(name)?.[1];
  if (base === undefined) return [name, { signature, value }];
  const seconds = typeof value === "bigint" ? value : undefined;
  if (typeof value !== "number" && seconds === undefined)
    throw new GantryError("invalid-argument", "not a number");
  const usec = seconds === undefined ? BigInt(Math.round(Number(value) * 1e6)) : seconds * 1_000_000n;
  if (usec < 0n || usec >= 1n << 64n) throw new GantryError("invalid-argument", "out of range");
  return [`${base}USec`, { signature: "t", value: usec }];
}

export function annotationProperties(annotations: Readonly<Record<string, string>>): readonly UnitProperty[] {
  return Object.entries(annotations)
    .filter(([key]) => key.startsWith(annotationPrefix))
    .map(([key, text]) => {
      const pointer = `/annotations/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      const refuse = (reason: string): never => {
        throw new GantryError("invalid-argument", `annotation ${key}: ${reason}`, { detail: { pointer } });
      };
      let read: readonly [string, TypedValue];
      try {
        read = inMicroseconds(key.slice(annotationPrefix.length), parseGVariant(text));
      } catch (error) {
        if (!(error instanceof GantryError)) throw error;
        return refuse(`value ${JSON.stringify(text.slice(0, 200))} parse error: ${error.message}`);
      }
      const [name, { signature, value }] = read;
      const wanted = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
      if (wanted === undefined) return refuse("this property of a unit may not be set by a container");
      if (wanted !== signature) return refuse(`value is of type ${signature}, systemd wants ${wanted}`);
      return { name, signature, value };
    });
}
