/** What CDI specs ask for, put into a runtime config. Pure: the engine has looked up what the host's devices are. */
import type { CdiContainerEdits } from "../spec/cdi.ts";
import type { RuntimeConfig } from "../spec/runtime-config.ts";
import { hookKinds } from "../spec/runtime-hooks.ts";
import type { RuntimeMount } from "../spec/runtime-mount.ts";
import { mergeEnvironment } from "./command.ts";
import { deviceRulesOf, type FoundDevice } from "./devices.ts";

/** The edits of a spec or of a device in it; devices are complete. */
export interface CdiEdits extends Omit<CdiContainerEdits, "deviceNodes"> {
  readonly devices: readonly FoundDevice[];
}

export function withCdi(
  config: RuntimeConfig,
  edits: readonly CdiEdits[],
  options: { readonly privileged: boolean },
): RuntimeConfig {
  return edits.reduce((edited, edit) => apply(edited, edit, options), config);
}

function apply(
  config: RuntimeConfig,
  edit: CdiEdits,
  options: { readonly privileged: boolean },
): RuntimeConfig {
  const { process, linux } = config;
  const { resources } = linux ?? {};
  const rules = deviceRulesOf(options, edit.devices) as (typeof resources & {})["devices"] & {};
  const mounts = (edit.mounts ?? []).map(
    ({ hostPath, containerPath, options = ["rbind", "ro", "nosuid", "nodev"], type }): RuntimeMount => ({
      destination: containerPath,
      source: hostPath,
      type: type ?? "bind",
      options: type === undefined || type === "bind" ? withBind(options) : options,
    }),
  );
  const places = new Set(mounts.map(({ destination }) => destination));
  const kept = (config.mounts ?? []).filter(({ destination }) => !places.has(destination));
  const gids = edit.additionalGids ?? [];
  return {
    ...config,
    ...(process
      ? {
          process: {
            ...process,
            env: mergeEnvironment(process.env ?? [], edit.env ?? []),
            user: {
              ...process.user,
              additionalGids: [...new Set([...(process.user?.additionalGids ?? []), ...gids])],
            },
          },
        }
      : {}),
    mounts: [...kept, ...mounts],
    linux: {
      ...linux,
      devices: [...(linux?.devices ?? []), ...edit.devices.map(({ device }) => device)],
      resources: { ...resources, devices: [...(resources?.devices ?? []), ...rules] },
    },
    ...(edit.hooks && edit.hooks.length > 0 ? { hooks: hooksOf(config, edit.hooks) } : {}),
  };
}

function withBind(options: readonly string[]): readonly string[] {
  return options.some((option) => option === "bind" || option === "rbind") ? options : ["bind", ...options];
}

function hooksOf(config: RuntimeConfig, added: CdiEdits["hooks"] & {}): RuntimeConfig["hooks"] {
  return Object.fromEntries(
    hookKinds.flatMap((kind) => {
      const own = added
        .filter(({ hookName }) => hookName === kind)
        .map(({ hookName: _, timeout, ...hook }) => ({ ...hook, ...(timeout ? { timeout } : {}) }));
      const all = [...(config.hooks?.[kind] ?? []), ...own];
      return all.length > 0 ? [[kind, all]] : [];
    }),
  );
}
