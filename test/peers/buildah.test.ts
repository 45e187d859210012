/** buildah with the isolation "oci", with gantry-oci where it calls crun. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { containersFiles } from "../../bench/peers/podman.ts";
import { must } from "../lib/command.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { ownMounts } from "../lib/mount-namespace.ts";
import { needs } from "../lib/needs.ts";
import { gantryOciProgram } from "../lib/sandbox.ts";
import { type Caller, type Case, declare, withOwnRoot } from "./caller.ts";

/** A working container, named by the caller so that it is removed after the case. */
async function from(caller: Caller): Promise<string> {
  const name = caller.name();
  await caller.must(["from", "--name", name, caller.image]);
  return name;
}

function run(caller: Caller, name: string, flags: readonly string[], script: string) {
  return caller.call(["run", "--network", "none", ...flags, name, "--", "sh", "-c", script]);
}

function dockerfile(caller: Caller, lines: readonly string[]): string {
  const dir = join(caller.files, caller.name());
  mkdirSync(dir);
  writeFileSync(join(dir, "Containerfile"), `FROM ${caller.image}\n${lines.join("\n")}\n`);
  writeFileSync(join(dir, "sent"), "sent\n");
  return dir;
}

const cases: readonly Case[] = [
  {
    name: "run passes output, input and exit status through",
    async body(caller) {
      const name = await from(caller);
      const args = ["run", "--network", "none", name, "--", "sh", "-c", "cat; echo err >&2; exit 7"];
      const done = await caller.call(args, { stdin: "fed\n" });
      assert.deepEqual([done.code, done.stdout], [7, "fed\n"], done.stderr);
      assert.match(done.stderr, /^err$/m);
    },
  },
  {
    name: "run with a terminal gives a terminal",
    async body(caller) {
      const name = await from(caller);
      const done = await run(caller, name, ["--tty"], "test -t 0 && test -t 1 && exit 8");
      assert.equal(done.code, 8, done.stderr);
    },
  },
  {
    name: "what one command writes the next one finds",
    async body(caller) {
      const name = await from(caller);
      assert.equal((await run(caller, name, [], "echo kept > /etc/kept")).code, 0);
      assert.equal((await run(caller, name, [], "cat /etc/kept")).stdout, "kept\n");
    },
  },
  {
    name: "what cannot be started fails with the runtime's reason",
    async body(caller) {
      const name = await from(caller);
      const start = (program: string) => caller.call(["run", "--network", "none", name, "--", program]);
      const missing = await start("nothing-of-this-name");
      assert.notEqual(missing.code, 0);
      assert.match(missing.stderr, /executable file.*not found in \$PATH/);
      assert.match((await start("/etc/passwd")).stderr, /permission denied/i);
    },
  },
  {
    name: "user, working directory, volumes and capabilities are those asked for",
    async body(caller) {
      const name = await from(caller);
      const folder = join(caller.files, "volume");
      mkdirSync(folder, { recursive: true });
      const flags = [
        "--user",
        "user",
        "--workingdir",
        "/tmp",
        "--volume",
        `${folder}:/vol:ro`,
        "--cap-drop",
        "all",
      ];
      const script =
        "id -u; pwd; touch /vol/x 2>/dev/null || echo ro; grep CapBnd /proc/self/status | tr -d '\\t'";
      const done = await run(caller, name, flags, script);
      assert.equal(done.stdout, "1000\n/tmp\nro\nCapBnd:0000000000000000\n", done.stderr);
    },
  },
  {
    name: "a build runs its steps, and the image holds what they made",
    async body(caller) {
      const steps = [
        "COPY sent /sent",
        "RUN cat /sent > /made && chown user /made",
        "USER user",
        "RUN id -u >> /made",
        "CMD cat /made",
      ];
      const dir = dockerfile(caller, steps);
      const tag = `localhost/${caller.name()}`;
      await caller.must(["build", "--isolation", "oci", "--network", "none", "--layers", "--tag", tag, dir]);
      const name = caller.name();
      await caller.must(["from", "--name", name, tag]);
      assert.equal((await run(caller, name, [], "cat /made")).stdout, "sent\n1000\n");
    },
  },
  {
    name: "a step that fails ends the build with its status",
    async body(caller) {
      const dir = dockerfile(caller, ["RUN echo said; exit 9", "RUN touch /never"]);
      const done = await caller.call(["build", "--isolation", "oci", "--network", "none", dir]);
      assert.equal(done.code, 9, done.stderr);
      assert.match(`${done.stdout}${done.stderr}`, /said\n/);
      assert.match(done.stderr, /exit status 9/);
    },
  },
  {
    name: "four builds at a time",
    async body(caller) {
      const builds = Array.from({ length: 4 }, async (_, index) => {
        const dir = dockerfile(caller, [`RUN echo ${index} > /index && cat /index`]);
        return await caller.call(["build", "--isolation", "oci", "--network", "none", dir]);
      });
      for (const { code, stderr } of await Promise.all(builds)) assert.equal(code, 0, stderr);
    },
  },
];

const image = "localhost/busybox:latest";

declare({
  name: "buildah",
  runtimes: ["crun", "gantry-oci"],
  cases,
  skip: needs("root", "buildah", "crun", "unshare", "nsenter", gantryOciProgram, "/bin/busybox"),
  remove: (caller, names) => caller.call(["rm", ...names]),
  async open({ dir, runtime, scope }) {
    const hide = runtime === "crun" ? "umount /sys/fs/cgroup/unified || true" : "";
    const { enter } = scope.use(await ownMounts(hide));
    const volatile = join(dir, "volatile");
    mkdirSync(volatile);
    const env = {
      ...containersFiles(dir, volatile),
      BUILDAH_RUNTIME: withOwnRoot(dir, runtime),
      BUILDAH_ISOLATION: "oci",
    };
    const cli = [...enter, "buildah", "--root", join(dir, "root"), "--runroot", join(volatile, "run")];
    const name = (await must([...cli, "from", `oci:${await busyboxLayout()}:latest`], { env })).trim();
    await must([...cli, "commit", "--quiet", name, image], { env });
    await must([...cli, "rm", name], { env });
    return {
      ...{ name: "buildah", cli, env, image },
      // its mounts go with their namespace
      async [Symbol.asyncDispose]() {},
    };
  },
});
