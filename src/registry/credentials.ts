/**
 * Credentials for registries, from the places where docker and podman keep them. Owns the order of
 * the places and the call of credential helpers; never writes.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { decodeJson, object, optional, record, string } from "../base/decode.ts";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";

export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, which `docker login` stores for some registries. */
  | { readonly kind: "identity-token"; readonly token: string };

/** Asked once per registry; `repository` is `domain/path`. */
export type CredentialSource = (
  domain: string,
  options: { readonly repository: string; readonly signal?: AbortSignal },
) => Promise<Credentials | undefined>;

/** The key of Docker Hub in every docker config. */
const hubKey = "https://index.docker.io/v1/";
const configLimitBytes = 4 * 1024 * 1024;
const helperLimitBytes = 1024 * 1024;
const helperTimeoutMs = 30_000;

const authEntry = object({
  auth: optional(string),
  username: optional(string),
  password: optional(string),
  identitytoken: optional(string),
});

const configShape = object({
  auths: optional(record(authEntry)),
  credsStore: optional(string),
  credHelpers: optional(record(string)),
});

const helperAnswer = object({ Username: string, Secret: string });

interface ConfigFile {
  readonly path: string;
  readonly auths: Readonly<
    Record<string, Readonly<{ auth?: string; username?: string; password?: string; identitytoken?: string }>>
  >;
  readonly credsStore?: string;
  readonly credHelpers: Readonly<Record<string, string>>;
}

function readConfig(path: string): ConfigFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw wrapErrno(error, "read credentials", path);
  }
  const {
    auths = {},
    credHelpers = {},
    ...rest
  } = decodeJson(text, configShape, `"${path}"`, configLimitBytes);
  return { path, auths, credHelpers, ...rest };
}

/** `https://host/v1/` and `host` are the same key (docker's ConvertToHostname). */
function hostOfKey(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/v[12]\/?$|\/$/, "");
}

function fromEntry(entry: ConfigFile["auths"][string], path: string): Credentials | undefined {
  if (entry.identitytoken) return { kind: "identity-token", token: entry.identitytoken };
  if (entry.username && entry.password)
    return { kind: "password", username: entry.username, password: entry.password };
  if (!entry.auth) return undefined;
  const decoded = Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 1)
    throw new GantryError(
      "invalid-argument",
      `read credentials "${path}": an auth entry is not base64 of user:password`,
    );
  // docker pads with NUL
  return {
    kind: "password",
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ""),
  };
}

/** podman's keys may name a part of the repository path: the longest that fits wins. */
function entryFor(config: ConfigFile, domain: string, repository: string): Credentials | undefined {
  const wanted = domain === "docker.io" ? ["docker.io", "index.docker.io", "registry-1.docker.io"] : [domain];
  const parts = repository.split("/");
  for (let length = parts.length; length > 0; length--) {
    const prefix = parts.slice(0, length).join("/");
    for (const [key, entry] of Object.entries(config.auths)) {
      const host = hostOfKey(key);
      if (host === prefix || (length === 1 && wanted.includes(host))) {
        const credentials = fromEntry(entry, config.path);
        if (credentials) return credentials;
      }
    }
  }
  return undefined;
}

/** Asks `docker-credential-<name>` (docker/docker-credential-helpers, README). */
async function askHelper(
  name: string,
  serverUrl: string,
  signal: AbortSignal | undefined,
): Promise<Credentials | undefined> {
  if (!/^[A-Za-z0-9_.-]+$/.test(name))
    throw new GantryError("invalid-argument", `run credential helper "${name}": not a helper name`);
  const command = `docker-credential-${name}`;
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | null; output: string }>();
  const timeout = AbortSignal.timeout(helperTimeoutMs);
  const child = spawn(command, ["get"], {
    stdio: ["pipe", "pipe", "ignore"],
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes > helperLimitBytes) child.kill("SIGKILL");
    else chunks.push(chunk);
  });
  child.on("error", reject);
  child.on("close", (status) => resolve({ status, output: Buffer.concat(chunks).toString("utf8") }));
  // a helper that answers without reading its input closes the pipe
  child.stdin.on("error", () => {});
  child.stdin.end(serverUrl);
  let answer: { status: number | null; output: string };
  try {
    answer = await promise;
  } catch (error) {
    signal?.throwIfAborted();
    if (timeout.aborted)
      throw new GantryError(
        "deadline-exceeded",
        `run credential helper "${command}": no answer in ${helperTimeoutMs} ms`,
      );
    throw wrapErrno(error, "run credential helper", command);
  }
  if (answer.status !== 0) {
    if (/credentials not found/i.test(answer.output)) return undefined;
    throw new GantryError(
      "unavailable",
      `run credential helper "${command}": ${answer.output.trim().slice(0, 300) || `status ${answer.status}`}`,
    );
  }
  const { Username: username, Secret: secret } = decodeJson(
    answer.output,
    helperAnswer,
    `answer of ${command}`,
    helperLimitBytes,
  );
  if (username === "" && secret === "") return undefined;
  return username === "<token>"
    ? { kind: "identity-token", token: secret }
    : { kind: "password", username, password: secret };
}

/** The files that docker and podman read, first the ones that the user named. */
export function credentialFiles(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
): readonly string[] {
  const runtime = env.XDG_RUNTIME_DIR;
  return [
    ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
    join(env.DOCKER_CONFIG || join(home, ".docker"), "config.json"),
    ...(runtime ? [join(runtime, "containers/auth.json")] : []),
    join(env.XDG_CONFIG_HOME || join(home, ".config"), "containers/auth.json"),
  ];
}

/** Looks through `files` in order: per-host helper, then entry, then general helper, as docker does. */
export function storedCredentials(
  files: readonly string[] = credentialFiles(process.env, homedir()),
): CredentialSource {
  return async (domain, { repository, signal }) => {
    const serverUrl = domain === "docker.io" ? hubKey : domain;
    for (const path of files) {
      const config = readConfig(path);
      if (!config) continue;
      const helper = Object.entries(config.credHelpers).find(
        ([key]) => key === serverUrl || hostOfKey(key) === domain,
      )?.[1];
      const found =
        (helper && (await askHelper(helper, serverUrl, signal))) ||
        entryFor(config, domain, repository) ||
        (config.credsStore && !helper && (await askHelper(config.credsStore, serverUrl, signal)));
      if (found) return found;
    }
    return undefined;
  };
}
