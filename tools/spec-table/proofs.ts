/** The forms of a row and of a proof, and the suites that rows name most. */

export interface Row {
  readonly of: string;
  readonly proofs: readonly Proof[];
  readonly note?: string;
}
export type Proof = readonly [suite: string, test: string];

export const container = (test: string): Proof => ["test/kernel/container", test];
export const fields = (test: string): Proof => ["test/kernel/fields", test];
export const further = (test: string): Proof => ["test/kernel/further", test];
export const hooks = (test: string): Proof => ["test/kernel/hooks", test];
export const life = (test: string): Proof => ["test/kernel/lifecycle", test];
export const joined = (test: string): Proof => ["test/kernel/namespaces", test];
export const terminal = (test: string): Proof => ["test/kernel/terminal", test];
export const labels = (test: string): Proof => ["test/kernel/labels", test];
export const listener = (test: string): Proof => ["test/kernel/seccomp-listener", test];
export const devices = (test: string): Proof => ["test/kernel/net-devices", test];
export const rdt = (test: string): Proof => ["test/kernel/intel-rdt", test];
export const v2 = (test: string): Proof => ["test/kernel/v2", test];
export const living = (test: string): Proof => ["test/kernel/v2-living", test];
export const limits = (test: string): Proof => ["test/kernel/resources", test];
export const decoder = (test: string): Proof => ["src/spec/runtime-config", test];
export const plan = (test: string): Proof => ["src/plan/compile/container", test];
export const seccomp = (test: string): Proof => ["src/linux/seccomp/compile", test];
export const libseccomp = (test: string): Proof => ["test/seccomp/seccomp", test];
export const golden = (name: string): Proof => [
  "test/golden/golden",
  `the plan of ${name} is the golden one`,
];

export const row = (of: string, ...proofs: readonly Proof[]): Row => ({ of, proofs });
export const unproved = (of: string, note: string): Row => ({ of, proofs: [], note });
export const noted = (note: string, of: string, ...proofs: readonly Proof[]): Row => ({ of, proofs, note });

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

export const cgroupValues = (test: string): Proof => ["src/linux/cgroup-values", test];
export const cli = (test: string): Proof => ["src/oci/command", test];
