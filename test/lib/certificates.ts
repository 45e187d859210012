/** An authority of the test's own, and certificates of it. Needs openssl. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./command.ts";

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface Authority extends Certificate {
  /** Signs a certificate for names as `subjectAltName` has them: "IP:127.0.0.1,DNS:localhost". */
  issue(name: string, alternatives?: string): Promise<Certificate>;
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Files go below `dir`, which is made. */
export async function makeAuthority(dir: string, name = "authority"): Promise<Authority> {
  mkdirSync(dir, { recursive: true });
  const make = async (file: string, ...options: readonly string[]): Promise<Certificate> => {
    const [certFile, keyFile] = [join(dir, `${file}.pem`), join(dir, `${file}.key`)];
    const subject = ["-subj", `/CN=${file}`, "-days", "3650"];
    await must([
      ...["openssl", "req", "-x509", ...curve, ...subject, ...options],
      ...["-keyout", keyFile, "-out", certFile],
    ]);
    return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
  };
  const authority = await make(name);
  return {
    ...authority,
    issue: (file, alternatives = "IP:127.0.0.1,DNS:localhost") =>
      make(
        file,
        ...["-CA", authority.certFile, "-CAkey", authority.keyFile],
        ...["-addext", `subjectAltName=${alternatives}`, "-addext", "basicConstraints=CA:FALSE"],
      ),
  };
}
