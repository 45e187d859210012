/**
 * What proves each part of the runtime specification: the data of docs/runtime-spec.md. A key is a JSON pointer with
 * `*` for any index or key, of one member or, after it, `=` and a value; `{a,b}` stands for either. A proof is a suite
 * (the path without .test.ts) and the name of a test in it. No proof needs a note that says why.
 */

import { documents } from "./spec-table/documents.ts";
import { hookSection } from "./spec-table/hooks.ts";
import { linux } from "./spec-table/linux.ts";
import { mounts } from "./spec-table/mounts.ts";
import { process } from "./spec-table/process.ts";
import type { Section } from "./spec-table/proofs.ts";
import { resources } from "./spec-table/resources.ts";
import { seccompSection } from "./spec-table/seccomp.ts";
import { whole } from "./spec-table/whole.ts";

export const specTable: readonly Section[] = [
  whole,
  process,
  hookSection,
  mounts,
  linux,
  seccompSection,
  resources,
  documents,
];
