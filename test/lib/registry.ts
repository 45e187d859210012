/** Debian's docker-registry on a free loopback port: a registry that is not ours, for the tests of the client. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { must } from "./command.ts";
import { programPath } from "./needs.ts";
import { until } from "./until.ts";

/** The one user of a registry that was started with a password. */
export const credentials = { username: "gantry", password: "correct horse" } as const;
/** bcrypt of that password, the only form that the registry's htpasswd file takes. */
const passwordHash = "$2b$05$x2xL6qIbxnBt9/Y7K/2RceOn4kPS1invwmwHWZ1G7ahCTdweP5xSO";

export interface RegistryOptions {
  /** Asks for `credentials`. */
  readonly password?: boolean;
  /** Serves HTTPS with a certificate of its own authority. */
  readonly tls?: boolean;
}

export interface TestRegistry extends AsyncDisposable {
  /** "127.0.0.1:41234", as it stands in image references. */
  readonly host: string;
  readonly url: string;
  /** Where blobs and manifests lie, for tests that spoil them. */
  readonly storage: string;
  /** The authority's certificate, with `tls`. */
  readonly caFile: string | undefined;
  /** Ends the server; idempotent. */
  stop(): Promise<void>;
}

/** Starts a registry that keeps its files below `dir`. Needs the program docker-registry (openssl for `tls`). */
export async function startRegistry(dir: string, options: RegistryOptions = {}): Promise<TestRegistry> {
  const storage = join(dir, "registry");
  mkdirSync(storage, { recursive: true });
  const caFile = options.tls ? await makeCertificate(dir) : undefined;
  // Another process may take the free port first: then the registry ends at once, and another port is tried.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return await serve(dir, storage, port, options, caFile);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function serve(
  dir: string,
  storage: string,
  port: number,
  options: RegistryOptions,
  caFile: string | undefined,
): Promise<TestRegistry> {
  const host = `127.0.0.1:${port}`;
  const url = `${options.tls ? "https" : "http"}://${host}`;
  const configFile = join(dir, "registry.yml");
  writeFileSync(configFile, registryConfig(dir, storage, host, options));
  const program = programPath("docker-registry") ?? "docker-registry";
  const child = spawn(program, ["serve", configFile], { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-4000);
  });
  const exited = new Promise<void>((resolve) => {
    child.on("exit", () => resolve());
    child.on("error", () => resolve());
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 3000);
    await exited;
    clearTimeout(timer);
  };
  try {
    await until(`${url} answers`, async () => {
      if (child.exitCode !== null) throw new Error(`docker-registry ended:\n${complaint}`);
      return (await statusOf(`${url}/v2/`, caFile)) !== undefined;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { host, url, storage, caFile, stop, [Symbol.asyncDispose]: stop };
}

function registryConfig(dir: string, storage: string, host: string, options: RegistryOptions): string {
  const lines = [
    "version: 0.1",
    "log: { level: warn, accesslog: { disabled: true } }",
    "storage:",
    `  filesystem: { rootdirectory: ${storage} }`,
    "  delete: { enabled: true }",
    "http:",
    `  addr: ${host}`,
  ];
  if (options.tls)
    lines.push(`  tls: { certificate: ${join(dir, "cert.pem")}, key: ${join(dir, "key.pem")} }`);
  if (options.password) {
    const file = join(dir, "htpasswd");
    writeFileSync(file, `${credentials.username}:${passwordHash}\n`);
    lines.push("auth:", `  htpasswd: { realm: test, path: ${file} }`);
  }
  return `${lines.join("\n")}\n`;
}

async function makeCertificate(dir: string): Promise<string> {
  const cert = join(dir, "cert.pem");
  const names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", "/CN=test registry", "-addext", names, "-days", "3650"];
  await must([
    "openssl",
    "req",
    "-x509",
    ...curve,
    ...subject,
    "-keyout",
    join(dir, "key.pem"),
    "-out",
    cert,
  ]);
  return cert;
}

/** The HTTP status of a GET, or undefined while nobody listens. */
function statusOf(url: string, caFile: string | undefined): Promise<number | undefined> {
  return new Promise((resolve) => {
    const start = caFile === undefined ? httpRequest : httpsRequest;
    const options = caFile === undefined ? {} : { ca: readFileSync(caFile) };
    const request = start(url, { ...options, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("error", () => resolve(undefined));
    request.end();
  });
}

/** A loopback port that nobody listens on at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
