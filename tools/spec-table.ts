/**
 * What proves each part of the runtime specification: the data of docs/runtime-spec.md. A key is a JSON pointer with
 * `*` for any index or key, of one member or, after it, `=` and a value; `{a,b}` stands for either. A proof is a suite
 * (the path without .test.ts) and the name of a test in it. No proof needs a note that says why.
 */
export interface Row {
  readonly of: string;
  readonly proofs: readonly Proof[];
  readonly note?: string;
}
export type Proof = readonly [suite: string, test: string];

const container = (test: string): Proof => ["test/kernel/container", test];
const fields = (test: string): Proof => ["test/kernel/fields", test];
const further = (test: string): Proof => ["test/kernel/further", test];
const hooks = (test: string): Proof => ["test/kernel/hooks", test];
const life = (test: string): Proof => ["test/kernel/lifecycle", test];
const joined = (test: string): Proof => ["test/kernel/namespaces", test];
const labels = (test: string): Proof => ["test/kernel/labels", test];
const listener = (test: string): Proof => ["test/kernel/seccomp-listener", test];
const devices = (test: string): Proof => ["test/kernel/net-devices", test];
const rdt = (test: string): Proof => ["test/kernel/intel-rdt", test];
const v2 = (test: string): Proof => ["test/kernel/v2", test];
const decoder = (test: string): Proof => ["src/spec/runtime-config", test];
const plan = (test: string): Proof => ["src/plan/compile/container", test];
const seccomp = (test: string): Proof => ["src/linux/seccomp/compile", test];
const libseccomp = (test: string): Proof => ["test/seccomp/seccomp", test];
const golden = (name: string): Proof => ["test/golden/golden", `the plan of ${name} is the golden one`];

const row = (of: string, ...proofs: readonly Proof[]): Row => ({ of, proofs });
const unproved = (of: string, note: string): Row => ({ of, proofs: [], note });
const noted = (note: string, of: string, ...proofs: readonly Proof[]): Row => ({ of, proofs, note });

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}
