/** Credential helpers: programs that keep docker's passwords elsewhere (docker/docker-credential-helpers, README). */
import { spawn } from "node:child_process";
import { decodeJson, object, string } from "../base/decode.ts";
import { GantryError, wrapErrno } from "../base/error.ts";

export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, which `docker login` stores for some registries. */
  | { readonly kind: "identity-token"; readonly token: string };

const helperLimitBytes = 1024 * 1024;
const helperTimeoutMs = 30_000;
const helperAnswer = object({ Username: string, Secret: string });

/** Asks `docker-credential-<name>` for a registry; undefined if it has nothing. */
export async function askHelper(
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
