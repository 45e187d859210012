/** Capabilities and `--security-opt`, by Docker's rules and in Docker's words. */
import { GantryError } from "../base/error.ts";
import {
  type Capability,
  capabilityNames,
  dockerDefaultCapabilities,
  parseCapability,
} from "../linux/capabilities.ts";
import type { ContainerOptions } from "./container-options.ts";

const all = "ALL";

function normalize(
  names: readonly string[],
  option: "CapAdd" | "CapDrop",
): readonly (Capability | typeof all)[] {
  return names.map((name) => {
    if (name.toUpperCase() === all || name.toUpperCase() === "CAP_ALL") return all;
    const known = parseCapability(name);
    if (known === undefined)
      throw new GantryError(
        "invalid-argument",
        `invalid ${option}: unknown capability: ${JSON.stringify(name.slice(0, 100))}`,
      );
    return known;
  });
}

/** The bounding set; `available` is what this machine can give, for "all". */
export function containerCapabilities(
  options: ContainerOptions,
  available: readonly Capability[],
): readonly Capability[] {
  const everything = capabilityNames.filter((name) => available.includes(name));
  if (options.privileged) return everything;
  const add = normalize(options.capAdd ?? [], "CapAdd");
  const drop = normalize(options.capDrop ?? [], "CapDrop");
  if (add.includes(all)) return everything.filter((name) => !drop.includes(name));
  const base = drop.includes(all) ? [] : dockerDefaultCapabilities.filter((name) => !drop.includes(name));
  const wanted = new Set<string>([...base, ...add]);
  return capabilityNames.filter((name) => wanted.has(name));
}

export interface SecurityChoices {
  /** Docker's policy, none at all, or the text of another one. */
  readonly seccomp:
    | { readonly kind: "default" | "unconfined" }
    | { readonly kind: "profile"; readonly text: string };
  readonly noNewPrivileges: boolean;
  /** Neither masked nor read-only paths. */
  readonly systemPathsUnconfined: boolean;
  readonly warnings: readonly string[];
}

function invalid(option: string): never {
  throw new GantryError(
    "invalid-argument",
    `invalid --security-opt 2: ${JSON.stringify(option.slice(0, 100))}`,
  );
}

export function readSecurityOptions(options: ContainerOptions): SecurityChoices {
  let seccomp: SecurityChoices["seccomp"] = { kind: options.privileged ? "unconfined" : "default" };
  let noNewPrivileges = false;
  let systemPathsUnconfined = options.privileged ?? false;
  const warnings: string[] = [];
  for (const option of options.securityOpt ?? []) {
    if (option === "no-new-privileges") {
      noNewPrivileges = true;
      continue;
    }
    // "name:value" is the old form, which docker still takes
    const parts = /^([a-z-]+)[=:](.*)$/s.exec(option);
    if (!parts) invalid(option);
    const [, name, value] = parts as unknown as [string, string, string];
    switch (name) {
      case "seccomp":
        if (value === "unconfined") seccomp = { kind: "unconfined" };
        else if (value === "builtin") seccomp = { kind: "default" };
        else seccomp = { kind: "profile", text: value };
        break;
      case "no-new-privileges":
        if (value !== "true" && value !== "false") invalid(option);
        noNewPrivileges = value === "true";
        break;
      case "systempaths":
        if (value !== "unconfined") invalid(option);
        systemPathsUnconfined = true;
        break;
      case "apparmor":
        if (value !== "unconfined")
          warnings.push(`the AppArmor profile ${JSON.stringify(value)} is not applied`);
        break;
      case "label":
        if (value !== "disable") warnings.push(`the SELinux label ${JSON.stringify(value)} is not applied`);
        break;
      default:
        invalid(option);
    }
  }
  return { seccomp, noNewPrivileges, systemPathsUnconfined, warnings };
}
