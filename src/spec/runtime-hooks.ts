/** `hooks` of a runtime config (runtime-spec 1.3, config.md "POSIX-platform Hooks"). */
import { array, type Decoded, integer, object, optional, pattern, string } from "../base/decode.ts";

export const hookKinds = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;

const hook = object({
  path: pattern(/^\//, "an absolute path"),
  args: optional(array(string, 10_000)),
  env: optional(array(string, 10_000)),
  /** Seconds. */
  timeout: optional(integer(1, 1_000_000)),
});
const hooks = optional(array(hook, 1000));

export const runtimeHooks = object({
  prestart: hooks,
  createRuntime: hooks,
  createContainer: hooks,
  startContainer: hooks,
  poststart: hooks,
  poststop: hooks,
});

export type RuntimeHook = Decoded<typeof hook>;
export type RuntimeHooks = Decoded<typeof runtimeHooks>;
export type HookKind = (typeof hookKinds)[number];
