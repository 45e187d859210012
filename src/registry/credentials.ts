/**
 * Credentials for registries, from the places where docker and podman keep them. Owns the order of
 * the places; never writes.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { decodeJson, object, optional, record, string } from "../base/decode.ts";
import { errnoOf, GantryError, wrapErrno } from "../base/error.ts";
import { askHelper, type Credentials } from "./credential-helper.ts";

export type { Credentials } from "./credential-helper.ts";

/** Asked once per registry; `repository` is `domain/path`. */
export type CredentialSource = (
  domain: string,
  options: { readonly repository: string; readonly signal?: AbortSignal },
) => Promise<Credentials | undefined>;

/** The key of Docker Hub in every docker config. */
const hubKey = "https://index.docker.io/v1/";
const configLimitBytes = 4 * 1024 * 1024;

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
