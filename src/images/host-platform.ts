/** The platform of the machine this process runs on, in the words of images. */
import { normalizePlatform, type Platform } from "../spec/platform.ts";

const architectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };

export function hostPlatform(): Platform {
  return normalizePlatform({ os: "linux", architecture: architectures[process.arch] ?? process.arch });
}
