/** What users do with docker and podman: the cases that both command lines share. */
import type { Case } from "../caller.ts";
import { confinementCases } from "./confinement.ts";
import { execCases } from "./exec.ts";
import { lifeCases } from "./life.ts";
import { resourceCases } from "./resource.ts";

export const containerCases: readonly Case[] = [
  ...lifeCases,
  ...execCases,
  ...resourceCases,
  ...confinementCases,
];
