/** skopeo, the field's own tool for moving images: it fills registries and reads back what we wrote. */
import { must } from "./command.ts";
import { credentials, type TestRegistry } from "./registry.ts";

/** "docker://127.0.0.1:41234/NAME", with the flags that let skopeo in. */
export interface Place {
  readonly location: string;
  readonly login: boolean;
}

export function inRegistry(registry: TestRegistry, name: string, options: { login?: boolean } = {}): Place {
  return { location: `docker://${registry.host}/${name}`, login: options.login ?? false };
}

/** An OCI image layout on disk. */
export function inLayout(dir: string, tag: string): Place {
  return { location: `oci:${dir}:${tag}`, login: false };
}

export interface CopyOptions {
  /** "v2s2" makes Docker's schema 2 of an OCI image; "oci" the other way. */
  readonly format?: "oci" | "v2s2";
  /** Re-compresses all layers. */
  readonly compress?: "gzip" | "zstd";
  /** Copies the whole index, not the image of this machine's platform. */
  readonly all?: boolean;
}

export async function skopeoCopy(from: Place, to: Place, options: CopyOptions = {}): Promise<void> {
  const password = `${credentials.username}:${credentials.password}`;
  const args = ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"];
  if (from.login) args.push("--src-creds", password);
  if (to.login) args.push("--dest-creds", password);
  if (options.format) args.push("--format", options.format);
  if (options.compress) args.push("--dest-compress-format", options.compress, "--dest-compress");
  if (options.all) args.push("--all");
  await must(["skopeo", ...args, from.location, to.location], { timeoutMs: 300_000 });
}

/** The manifest as the registry serves it. */
export async function skopeoManifest(place: Place): Promise<string> {
  const args = ["--insecure-policy", "inspect", "--raw", "--tls-verify=false"];
  if (place.login) args.push("--creds", `${credentials.username}:${credentials.password}`);
  return await must(["skopeo", ...args, place.location]);
}
