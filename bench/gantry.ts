/** Gantry as a contender: through its command and through its library; the one file that knows both. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "../test/lib/command.ts";
import { gantryProgram, top } from "../test/lib/sandbox.ts";
import type { Contender } from "./measure.ts";
import { dockerLike, owning, type Peer } from "./peers/peer.ts";

const image = "busybox:latest";

/** The command `gantry` with stores of its own. */
export function openGantry(dir: string, volatile: string, rootTar: string): Promise<Peer> {
  return owning(async (scope) => {
    const [root, state] = [join(dir, "root"), volatile];
    mkdirSync(root, { recursive: true });
    mkdirSync(state, { recursive: true });
    const gantry = [gantryProgram, "--root", root, "--state", state];
    const call = (...args: string[]) => must([...gantry, ...args], { timeoutMs: 300_000 });
    scope.defer(async () => {
      const ids = (await call("ps", "--all", "--quiet")).split("\n").filter(Boolean);
      if (ids.length > 0) await call("rm", "--force", ...ids);
    });
    await call("import", rootTar, image);
    return {
      name: "gantry",
      cli: gantry,
      image,
      env: {},
      monitor: /^([^\0]*\/)?gantry/,
      ...dockerLike(gantry, image),
      runTrue: () => [...gantry, "run", "--rm", "--network", "none", image, "true"],
      async startIdle(name: string) {
        await call("run", "--detach", "--network", "none", "--name", name, image, "sleep", "1000");
      },
      async removeIdle(name: string) {
        await call("rm", "--force", name);
      },
      async pull(reference: string) {
        await call("pull", "--quiet", reference);
      },
      async forget(reference: string) {
        await call("rmi", "--force", reference);
      },
    };
  });
}

export interface Library extends Contender, AsyncDisposable {
  /** `true` in a container that runs. */
  exec(name: string): Promise<undefined>;
}

/** Start, wait and remove `true` inside this process. */
export async function openLibrary(dir: string, volatile: string): Promise<Library> {
  const library: typeof import("../src/index.ts") = await import(join(top, "dist/lib/index.js"));
  const engine = await library.Engine.open({ root: join(dir, "root"), state: volatile });
  return {
    name: "gantry library",
    async run() {
      const container = await engine.run({ image, command: ["true"], network: "none", autoRemove: true });
      await container.wait();
      return undefined;
    },
    async exec(name) {
      const container = await engine.container(name);
      const exec = await container.exec(["true"]);
      await exec.wait();
      return undefined;
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}
