/** `import --change`: the Dockerfile instructions that only touch the image config. Pure. */
import type { ImageExecution } from "../spec/image-config.ts";
import { parseDuration } from "./format/units.ts";
import { UsageError } from "./options.ts";

/** `["a", "b"]`, else a command for the shell. */
function command(text: string): readonly string[] {
  if (text.trimStart().startsWith("[")) {
    try {
      const value: unknown = JSON.parse(text);
      if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    } catch {
      // as Docker does it: what is no JSON is a shell command
    }
  }
  return ["/bin/sh", "-c", text];
}

/** `A=1 B="2 3"` or the old form `A 1`. */
function pairs(text: string, what: string): readonly (readonly [string, string])[] {
  const found = [...text.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s"'\\]|\\.)*)(?=\s|$)/g)];
  if (
    found.length > 0 &&
    found.map(([whole]) => whole).join("").length === text.replace(/\s+(?=[^\s=]+=)/g, "").trim().length
  )
    return found.map(([, name, value]) => [
      name!,
      value!.replace(/^(["'])([\s\S]*)\1$/, "$2").replace(/\\(.)/g, "$1"),
    ]);
  const space = text.search(/\s/);
  if (space < 0) throw new UsageError(`${what} must have a value: ${text}`);
  return [[text.slice(0, space), text.slice(space).trim()]];
}

const healthFlags: Readonly<Record<string, string>> = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
};

/** `NONE`, `--interval=5s --retries=2 CMD curl x`, `CMD ["curl", "x"]`. */
function healthCheck(text: string): ImageExecution["Healthcheck"] {
  const check: Record<string, unknown> = {};
  let rest = text;
  for (let flag = /^--([a-z-]+)=(\S+)\s+/.exec(rest); flag; flag = /^--([a-z-]+)=(\S+)\s+/.exec(rest)) {
    const [whole, name, value] = flag as unknown as [string, string, string];
    const duration = healthFlags[name];
    if (duration !== undefined) check[duration] = Math.round(parseDuration(value) * 1e6);
    else if (name === "retries" && /^\d{1,9}$/.test(value)) check.Retries = Number(value);
    else throw new UsageError(`HEALTHCHECK: unknown flag or value: --${name}=${value}`);
    rest = rest.slice(whole.length);
  }
  const [kind = "", ...words] = rest.split(/\s+/);
  if (kind.toUpperCase() === "NONE" && words.length === 0) return { Test: ["NONE"] };
  if (kind.toUpperCase() !== "CMD" || words.length === 0)
    throw new UsageError(`Unknown type ${JSON.stringify(kind)} in HEALTHCHECK (try CMD)`);
  const [first, second, ...program] = command(rest.slice(kind.length).trim());
  const isShell = first === "/bin/sh" && second === "-c" && program.length === 1;
  return {
    ...check,
    Test: isShell
      ? ["CMD-SHELL", ...program]
      : ["CMD", ...[first, second].filter((word) => word !== undefined), ...program],
  };
}

export function parseChanges(changes: readonly string[]): ImageExecution {
  const env: string[] = [];
  const labels: Record<string, string> = {};
  const ports: Record<string, unknown> = {};
  const volumes: Record<string, unknown> = {};
  const triggers: string[] = [];
  const rest: Record<string, unknown> = {};
  for (const change of changes) {
    const match = /^\s*([a-zA-Z]+)\s+([\s\S]*\S)\s*$/.exec(change);
    if (!match) throw new UsageError(`invalid change: ${change}`);
    const text = match[2]!;
    switch (match[1]!.toUpperCase()) {
      case "CMD":
        rest.Cmd = command(text);
        break;
      case "ENTRYPOINT":
        rest.Entrypoint = command(text);
        break;
      case "ENV":
        for (const [name, value] of pairs(text, "ENV")) env.push(`${name}=${value}`);
        break;
      case "LABEL":
        for (const [name, value] of pairs(text, "LABEL")) labels[name] = value;
        break;
      case "EXPOSE":
        for (const port of text.split(/\s+/)) ports[port.includes("/") ? port : `${port}/tcp`] = {};
        break;
      case "VOLUME":
        for (const path of text.startsWith("[") ? command(text) : text.split(/\s+/)) volumes[path] = {};
        break;
      case "STOPSIGNAL":
        rest.StopSignal = text;
        break;
      case "ONBUILD":
        triggers.push(text);
        break;
      case "HEALTHCHECK":
        rest.Healthcheck = healthCheck(text);
        break;
      case "USER":
        rest.User = text;
        break;
      case "WORKDIR":
        rest.WorkingDir = text;
        break;
      default:
        throw new UsageError(`${match[1]} is not a valid change command`);
    }
  }
  return {
    ...rest,
    ...(env.length > 0 ? { Env: env } : {}),
    ...(triggers.length > 0 ? { OnBuild: triggers } : {}),
    ...(Object.keys(labels).length > 0 ? { Labels: labels } : {}),
    ...(Object.keys(ports).length > 0 ? { ExposedPorts: ports } : {}),
    ...(Object.keys(volumes).length > 0 ? { Volumes: volumes } : {}),
  };
}
