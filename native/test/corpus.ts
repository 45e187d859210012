/** Writes plans, as TypeScript encodes them, into a folder: what fuzz_plan.c begins with. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodePlan } from "../../src/plan/encode.ts";
import { type OperandKind, type Operation, operations } from "../../src/plan/operations.ts";
import type { Plan, Step } from "../../src/plan/plan.ts";
import { planFor } from "../../test/shim/container.ts";

const values: Readonly<Record<OperandKind, (register: string) => unknown>> = {
  u32: () => 7,
  u64: () => 0x1122334455667788n,
  text: () => "/some/path",
  bytes: () => new Uint8Array([1, 2, 3, 4, 5]),
  texts: () => ["one", "", "three"],
  numbers: () => [1, 2, 3],
  fd: () => "open",
  "fd?": () => undefined,
  "fd+": (register) => register,
  "fd-": () => "open",
};

/** A step of the operation with made-up operands; `open` is a register that is live. */
function stepOf(name: string, operation: Operation, register: string): Step {
  const operands = Object.entries(operation.operands).map(([key, kind]) => [
    key,
    values[kind](`${register} ${key}`),
  ]);
  return { op: name, where: "/pointer", phrase: "", ...Object.fromEntries(operands) } as unknown as Step;
}

const openPipe: Step = { op: "make-pipe", where: "", read: "open", write: "other" };
const clone: Step = { op: "clone", where: "", namespaces: 0, cgroup: undefined };
const killChild: Step = { op: "kill-child", where: "" };
const childEnd: readonly Step[] = [
  { op: "close-descriptors", where: "", keep: 0 },
  { op: "exec", where: "", args: ["true"], env: [] },
];

/** One plan for each operation, in the first stage in which it may stand. */
function planWith(name: string, operation: Operation, index: number): Plan {
  const step = stepOf(name, operation, `new${index}`);
  const open = { host: [] as Step[], child: [] as Step[], cleanup: [] as Step[] };
  if (operation.stages.includes("layer") && !operation.stages.includes("host"))
    return { ...open, layer: [step] };
  const host = name === "clone" ? [openPipe, clone] : [openPipe, clone];
  if (operation.rules.includes("clone") && name !== "clone")
    return { host: [openPipe, step], child: [], cleanup: [killChild] };
  if (operation.stages.includes("host"))
    return { host: name === "clone" ? host : [...host, step], child: childEnd, cleanup: [killChild] };
  if (operation.stages.includes("child")) {
    const whole = name === "exec" || name === "close-descriptors";
    const rest = operation.rules.includes("last") ? [childEnd[0]!, step] : [step, ...childEnd];
    return { host, child: whole ? childEnd : rest, cleanup: [killChild] };
  }
  return { host, child: childEnd, cleanup: name === "kill-child" ? [killChild] : [killChild, step] };
}

const folder = process.argv[2];
if (!folder) throw new Error("corpus.ts FOLDER");
mkdirSync(folder, { recursive: true });
const whole = planFor("/run/x", ["sh", "-c", "true"], {
  stdin: true,
  cgroups: [{ mount: "/m", path: "/p" }],
});
writeFileSync(join(folder, "container"), encodePlan(whole));
Object.entries(operations as Readonly<Record<string, Operation>>).forEach(([name, operation], index) => {
  // a layer step may need a register that another step of the session opened: those stand in no plan alone
  const plan = planWith(name, operation, index);
  const kinds = Object.values(operation.operands);
  if (plan.layer && kinds.some((kind) => kind === "fd" || kind === "fd-")) return;
  writeFileSync(join(folder, name), encodePlan(plan));
});
