/**
 * Platforms of images (`linux/arm64/v8`): parsing, defaults, and the order of what a machine can run.
 * The rules are those of containerd's platforms package, which docker and nerdctl share.
 */
import { array, object, optional, string } from "../base/decode.ts";
import { GantryError } from "../base/error.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly "os.version"?: string;
  readonly "os.features"?: readonly string[];
}

export const platform = object({
  os: string,
  architecture: string,
  variant: optional(string),
  "os.version": optional(string),
  "os.features": optional(array(string, 100)),
});

const architectureAliases: Readonly<Record<string, readonly [string, string?]>> = {
  i386: ["386"],
  i686: ["386"],
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
};

/** Fills in what names leave out: aliases, arm's default v7; drops the variants that are the base level. */
export function normalizePlatform(given: Platform): Platform {
  const architectureWord = given.architecture.toLowerCase();
  const [architecture, aliasVariant] = architectureAliases[architectureWord] ?? [architectureWord];
  let variant = (given.variant?.toLowerCase() || aliasVariant) ?? "";
  if (architecture === "arm")
    variant = variant === "" ? "v7" : /^[5-8]$/.test(variant) ? `v${variant}` : variant;
  if (architecture === "arm64" && (variant === "8" || variant === "v8" || variant === "v8.0")) variant = "";
  if (architecture === "amd64" && variant === "v1") variant = "";
  const os = given.os.toLowerCase() === "macos" ? "darwin" : given.os.toLowerCase();
  const { variant: _variant, ...rest } = given;
  return { ...rest, os, architecture, ...(variant === "" ? {} : { variant }) };
}

/** Parses `architecture` (of Linux), `os/architecture` or `os/architecture/variant`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const fail = (reason: string): never => {
    throw new GantryError("invalid-argument", `parse platform "${text.slice(0, 200)}": ${reason}`);
  };
  if (parts.length > 3) fail("more than os/architecture/variant");
  if (parts.some((part) => !/^[A-Za-z0-9_.-]{1,64}$/.test(part)))
    fail("a part holds other characters than letters, digits, _ . -");
  const [first, second, third] = parts as [string, string?, string?];
  if (second !== undefined)
    return normalizePlatform({
      os: first,
      architecture: second,
      ...(third === undefined ? {} : { variant: third }),
    });
  const known = normalizePlatform({ os: "linux", architecture: first });
  if (
    ["amd64", "arm64", "arm", "386", "riscv64", "ppc64le", "s390x", "loong64", "mips64le"].includes(
      known.architecture,
    )
  )
    return known;
  if (["linux", "windows", "darwin", "freebsd"].includes(first.toLowerCase()))
    return fail("the architecture is missing");
  return fail("neither a known operating system nor a known architecture");
}

export function formatPlatform(value: Platform): string {
  return [value.os, value.architecture, ...(value.variant ? [value.variant] : [])].join("/");
}

/**
 * How well an image for `candidate` serves a machine that wants `wanted`: 0 is exact, higher is a
 * fallback (arm v7 runs v6 and v5, arm64 runs 32-bit arm, amd64 v3 runs v2 and v1), undefined is no match.
 */
export function platformDistance(wanted: Platform, candidate: Platform): number | undefined {
  const want = normalizePlatform(wanted);
  const have = normalizePlatform(candidate);
  if (want.os !== have.os) return undefined;
  const level = (variant: string | undefined, fallback: number) => {
    const match = /^v(\d+)(?:\.(\d+))?$/.exec(variant ?? "");
    return match
      ? Number(match[1]) + Number(match[2] ?? 0) / 100
      : variant === undefined
        ? fallback
        : undefined;
  };
  if (want.architecture === have.architecture) {
    const base = { arm: 7, arm64: 8, amd64: 1 }[want.architecture];
    if (base === undefined) {
      // an image that states no variant serves every variant of the same architecture
      if (want.variant === have.variant) return 0;
      return have.variant === undefined ? 1 : undefined;
    }
    const wantLevel = level(want.variant, base);
    const haveLevel = level(have.variant, base);
    if (wantLevel === undefined || haveLevel === undefined)
      return want.variant === have.variant ? 0 : undefined;
    return haveLevel <= wantLevel ? wantLevel - haveLevel : undefined;
  }
  if (want.architecture === "arm64" && have.architecture === "arm") {
    const haveLevel = level(have.variant, 7);
    return haveLevel !== undefined && haveLevel <= 8 ? 100 + (8 - haveLevel) : undefined;
  }
  return undefined;
}
