/** A container that runs while a test does things to it, with either runtime. */
import assert from "node:assert/strict";
import { type Bundle, containerId, type Json, type Runtime, withBundle } from "./bundle.ts";

export const both = ["gantry-oci", "runc"] as const;

export interface Living {
  readonly runtime: Runtime;
  readonly bundle: Bundle;
  readonly id: string;
  /** Of its init, as the host sees it. */
  readonly pid: number;
  /** Runs a verb that has to succeed; hands back its stdout. */
  must(...args: readonly string[]): Promise<string>;
  /** Runs a verb that has to fail; hands back the message of its last log line. */
  refused(...args: readonly string[]): Promise<string>;
  status(): Promise<unknown>;
}

/** The last message of a runtime, without its quotes. */
export function reason(stderr: string): string {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1] ?? /msg=(\S+)/.exec(last)?.[1] ?? last;
  return message.replaceAll('\\"', '"');
}

export async function withLiving<T>(
  name: Runtime["name"],
  script: string,
  patch: Json,
  body: (living: Living) => Promise<T>,
  verb: "run" | "create" = "run",
): Promise<T> {
  return await withBundle(name, script, patch, async (runtime, bundle) => {
    const id = containerId();
    const must = async (...args: readonly string[]) => {
      const { code, stdout, stderr } = await runtime.call(args);
      assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    const state = async () => JSON.parse(await must("state", id)) as { status: string; pid: number };
    await must(verb, ...(verb === "run" ? ["--detach"] : []), "--bundle", bundle.path, id);
    return await body({
      runtime,
      bundle,
      id,
      pid: (await state()).pid,
      must,
      async refused(...args) {
        const { code, stderr } = await runtime.call(args);
        assert.notEqual(code, 0, `${args.join(" ")} has succeeded`);
        return reason(stderr);
      },
      status: async () => (await state()).status,
    });
  });
}
