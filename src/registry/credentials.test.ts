import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { isGantryError } from "../base/error.ts";
import { credentialFiles, storedCredentials } from "./credentials.ts";

const folder = mkdtempSync(join(tmpdir(), "gantry-credentials-"));
const pathBefore = process.env.PATH;
process.env.PATH = `${folder}:${pathBefore}`;
after(() => {
  process.env.PATH = pathBefore;
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;
function configFile(value: unknown): string {
  const path = join(folder, `config-${++count}.json`);
  writeFileSync(path, JSON.stringify(value));
  return path;
}

function helper(name: string, script: string): void {
  const path = join(folder, `docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

const auth = (text: string) => Buffer.from(text).toString("base64");
const password = (username: string, secret: string) => ({ kind: "password", username, password: secret });
const ask = async (domain: string, path: string, ...values: unknown[]) =>
  await storedCredentials(values.map(configFile))(domain, { repository: `${domain}/${path}` });

test("auths entries are found by host, with or without scheme and path", async () => {
  for (const key of [
    "reg.example:5000",
    "https://reg.example:5000",
    "https://reg.example:5000/v2/",
    "http://reg.example:5000/",
  ])
    assert.deepEqual(
      await ask("reg.example:5000", "a", { auths: { [key]: { auth: auth("me:se:cret") } } }),
      password("me", "se:cret"),
      key,
    );
  assert.equal(await ask("other", "a", { auths: { "reg.example:5000": { auth: auth("me:x") } } }), undefined);
});

test("Docker Hub's entry is the legacy index URL", async () => {
  assert.deepEqual(
    await ask("docker.io", "library/a", { auths: { "https://index.docker.io/v1/": { auth: auth("me:x") } } }),
    password("me", "x"),
  );
});

test("identity tokens and plain fields are understood, empty entries are passed over", async () => {
  assert.deepEqual(await ask("r.io", "a", { auths: { "r.io": { identitytoken: "tok" } } }), {
    kind: "identity-token",
    token: "tok",
  });
  assert.deepEqual(
    await ask("r.io", "a", { auths: { "r.io": { username: "u", password: "p" } } }),
    password("u", "p"),
  );
  assert.deepEqual(
    await ask("r.io", "a", { auths: { "r.io": {} } }, { auths: { "r.io": { auth: auth("b:c") } } }),
    password("b", "c"),
  );
});

test("podman's keys for a part of the path win over the host's", async () => {
  const auths = {
    "r.io": { auth: auth("host:1") },
    "r.io/team": { auth: auth("team:2") },
    "r.io/team/app": { auth: auth("app:3") },
  };
  assert.deepEqual(await ask("r.io", "team/app", { auths }), password("app", "3"));
  assert.deepEqual(await ask("r.io", "team/other", { auths }), password("team", "2"));
  assert.deepEqual(await ask("r.io", "teams", { auths }), password("host", "1"));
});

test("a helper is asked over its standard input, the one for the host first", async () => {
  helper(
    "one",
    `read server; printf '{"ServerURL":"%s","Username":"for","Secret":"%s"}' "$server" "$server"`,
  );
  helper("token", `printf '{"Username":"<token>","Secret":"abc"}'`);
  assert.deepEqual(
    await ask("r.io", "a", { credsStore: "token", credHelpers: { "r.io": "one" } }),
    password("for", "r.io"),
  );
  assert.deepEqual(
    await ask("docker.io", "a", { credsStore: "one" }),
    password("for", "https://index.docker.io/v1/"),
  );
  assert.deepEqual(await ask("r.io", "a", { credsStore: "token" }), { kind: "identity-token", token: "abc" });
});

test("a helper that has nothing is passed over, one that fails is an error that names it", async () => {
  helper("none", "echo 'credentials not found in native keychain'; exit 1");
  helper("broken", "echo 'no keyring'; exit 3");
  assert.equal(await ask("r.io", "a", { credsStore: "none" }), undefined);
  await assert.rejects(
    ask("r.io", "a", { credsStore: "broken" }),
    /run credential helper "docker-credential-broken": no keyring/,
  );
  await assert.rejects(
    ask("r.io", "a", { credsStore: "not-installed" }),
    /"docker-credential-not-installed": no such file/,
  );
  await assert.rejects(ask("r.io", "a", { credsStore: "../evil" }), (error) =>
    isGantryError(error, "invalid-argument"),
  );
});

test("files that are missing are no error, files that are broken are", async () => {
  assert.equal(
    await storedCredentials([join(folder, "absent")])("r.io", { repository: "r.io/a" }),
    undefined,
  );
  const path = join(folder, "broken.json");
  writeFileSync(path, "{");
  await assert.rejects(storedCredentials([path])("r.io", { repository: "r.io/a" }), (error) =>
    isGantryError(error, "invalid-argument"),
  );
  await assert.rejects(
    ask("r.io", "a", { auths: { "r.io": { auth: auth("no colon") } } }),
    /not base64 of user:password/,
  );
});

test("the places follow the environment", () => {
  assert.deepEqual(credentialFiles({}, "/home/u"), [
    "/home/u/.docker/config.json",
    "/home/u/.config/containers/auth.json",
  ]);
  assert.deepEqual(
    credentialFiles({ DOCKER_CONFIG: "/d", XDG_RUNTIME_DIR: "/run/u", REGISTRY_AUTH_FILE: "/f" }, "/home/u"),
    ["/f", "/d/config.json", "/run/u/containers/auth.json", "/home/u/.config/containers/auth.json"],
  );
});
