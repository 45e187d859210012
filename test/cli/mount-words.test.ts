/** What `--mount` and `-v` refuse, in the words of the docker command itself, which looks before it asks its daemon. */
import assert from "node:assert/strict";
import test from "node:test";
import { command } from "../lib/command.ts";
import { needs, skipped } from "../lib/needs.ts";
import { gantryProgram } from "../lib/sandbox.ts";

const wrong: readonly (readonly [option: string, value: string])[] = [
  ["--mount", "type=bind"],
  ["--mount", ""],
  ["--mount", "type="],
  ["--mount", "type=bind,target=/x,volume-nocopy"],
  ["--mount", "type=volume,target=/x,bind-propagation=shared"],
  ["--mount", "type=bind,src=/a,target=/x,tmpfs-size=1m"],
  ["--mount", "type=volume,target=/x,image-subpath=a"],
  ["--mount", "type=image,src=x,target=/x,volume-nocopy"],
  ["--mount", "type=volume,target=/x,foo=bar"],
  ["--mount", "type=volume,target=/x,foo"],
  ["--mount", "type=volume,target=/x,readonly=maybe"],
  ["--mount", "type=volume,target=/x,volume-nocopy=x"],
  ["--mount", "type=tmpfs,target=/x,tmpfs-mode=999"],
  ["--mount", "type=tmpfs,target=/x,tmpfs-size=abc"],
  ["--mount", "type=bind,src=/a,target=/x,bind-recursive=foo"],
  ["--mount", "type=bind,src=/a,target=/x,bind-recursive=writable"],
  ["--mount", "type=bind,src=/a,target=/x,bind-recursive=readonly"],
  ["--mount", "type=bind,src=/a,target=/x,bind-recursive=readonly,readonly"],
];

/** Other versions have other words. */
async function ofDocker28(): Promise<string | false> {
  const missing = needs("docker");
  if (missing) return missing;
  const { stdout } = await command(["docker", "--version"]);
  return /version 28\./.test(stdout) ? false : skipped(`needs docker 28, this is ${stdout.trim()}`);
}

const skip = await ofDocker28();

for (const [option, value] of wrong)
  test(`${option} ${JSON.stringify(value)} is refused as docker refuses it`, { skip }, async () => {
    const env = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };
    const docker = await command(["docker", "create", option, value, "image"], { env });
    const gantry = await command([gantryProgram, "create", option, value, "image"], {});
    assert.equal(gantry.stderr.split("\n")[0], docker.stderr.split("\n")[0]);
    assert.equal(gantry.code, docker.code);
  });
