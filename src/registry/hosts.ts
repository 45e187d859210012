/** Where a registry is: its host name on the network, plain or encrypted, and which certificates count. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, wrapErrno } from "../base/error.ts";
import type { TlsOptions } from "./http-transport.ts";

/** Docker Hub's name in references is not the name of its registry. */
export function registryHostOf(domain: string): string {
  return domain === "docker.io" ? "registry-1.docker.io" : domain;
}

/** Loopback never leaves the machine, so plain HTTP is no loss there (docker's rule, too). */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** Read in this order; the first folder that has an entry for the host wins, file by file. */
export const defaultCertificateFolders = [
  "/etc/gantry/certs.d",
  "/etc/docker/certs.d",
  "/etc/containers/certs.d",
] as const;

/** docker's layout: `<folder>/<host:port>/*.crt` are CAs, `x.cert` with `x.key` is a client certificate. */
export function certificatesFor(host: string, folders: readonly string[]): TlsOptions {
  for (const folder of folders) {
    const path = join(folder, host);
    try {
      const names = readdirSync(path).sort();
      const text = (name: string) => readFileSync(join(path, name), "utf8");
      const ca = names.filter((name) => name.endsWith(".crt")).map(text);
      const client = names.find(
        (name) => name.endsWith(".cert") && names.includes(name.replace(/cert$/, "key")),
      );
      if (ca.length === 0 && client === undefined) continue;
      return {
        ca,
        ...(client === undefined ? {} : { cert: text(client), key: text(client.replace(/cert$/, "key")) }),
      };
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "ENOTDIR")
        throw wrapErrno(error, "read certificates", path);
    }
  }
  return {};
}
