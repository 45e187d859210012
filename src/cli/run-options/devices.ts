/** `--device`, `--device-cgroup-rule` and `--gpus`: docker's ways to write devices. Pure. */
import { isAbsolute } from "node:path";
import type { DeviceOption } from "../../bundle/container-options.ts";
import { parseDeviceRule } from "../../bundle/devices.ts";
import { isCdiName } from "../../spec/cdi.ts";

/** A device by path, or by its name in a CDI spec. */
export type AskedDevice = { readonly cdi: string } | DeviceOption;

function isPermissions(text: string): boolean {
  return /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
}

/** `/dev/fuse`, `/dev/sda:/dev/xvdc:rwm`, `/dev/sda:r`, `vendor.com/class=name`. */
export function parseDevice(text: string): AskedDevice {
  if (isCdiName(text)) return { cdi: text };
  const [hostPath = "", second, third, ...more] = text.split(":");
  if (more.length > 0) throw new Error(`bad format for path: ${text}`);
  const permissions = third ?? (second !== undefined && isPermissions(second) ? second : undefined);
  const containerPath = permissions === second && third === undefined ? undefined : second;
  if (permissions !== undefined && !isPermissions(permissions))
    throw new Error(`bad mode specified: ${permissions}`);
  for (const path of [hostPath, containerPath])
    if (path !== undefined && !isAbsolute(path)) throw new Error(`${path} is not an absolute path`);
  return {
    hostPath,
    ...(containerPath === undefined ? {} : { containerPath }),
    ...(permissions === undefined ? {} : { permissions }),
  };
}

/** Says of what is wrong before anything is done. */
export function checkDeviceRule(text: string): string {
  parseDeviceRule(text);
  return text;
}

export type GpuRequest = "all" | number | readonly string[];

/** `all`, `2`, `device=0,1`, `"device=0,1",capabilities=compute`. */
export function parseGpus(text: string): GpuRequest {
  if (text === "all") return "all";
  if (/^\d+$/.test(text)) return Number(text);
  const fields = new Map<string, string>();
  // comma-separated values, of which one may stand in quotes with commas of its own
  for (const [, quoted, plain] of text.matchAll(/(?:"([^"]*)"|([^,]+))(?:,|$)/g)) {
    const field = quoted ?? plain ?? "";
    const equals = field.indexOf("=");
    if (equals < 0) {
      const last = [...fields.keys()].at(-1);
      if (last !== "device") throw new Error(`invalid gpu request: ${text}`);
      fields.set(last, `${fields.get(last)},${field}`);
    } else fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  const { count, device } = Object.fromEntries(fields);
  for (const name of fields.keys())
    if (!["count", "device", "capabilities", "driver", "options"].includes(name))
      throw new Error(`unexpected key '${name}' in '${text}'`);
  if (count !== undefined && device !== undefined)
    throw new Error("cannot set both Count and DeviceIDs on device request");
  if (device !== undefined) return device.split(",").filter((id) => id !== "");
  if (count === undefined) return 1;
  if (count === "all" || count === "-1") return "all";
  if (!/^\d+$/.test(count))
    throw new Error(`invalid count (${count}): value must be either "all" or an integer`);
  return Number(count);
}
