/**
 * A plan in words, one line a step:
 *
 *     host    12  make-cgroup mount=/sys/fs/cgroup/pids path=/gantry/0123… init=2 -> dir      (/linux/cgroupsPath)
 *
 * Stage, number of the step within its stage, operation, operands, what it fills, and the JSON pointer
 * of the config member that asked for it. Long values are shortened; nothing secret is left out, since
 * the reader is who wrote the config.
 */
import { capabilitiesOfMask } from "../linux/capabilities.ts";
import { mountAttr, mountFlag } from "../linux/mount-options.ts";
import { cloneFlags, namespaceKinds } from "../linux/namespaces.ts";
import { meetings } from "./meetings.ts";
import { type OperandKind, type Operation, operations } from "./operations.ts";
import { type Plan, type Step, syncPoints } from "./plan.ts";

export interface PrintOptions {
  /** Longest operand that is printed whole; 60 characters unless told. */
  readonly valueLimit?: number;
  /** Also the phrase that callers of runc look for, where a step has one. */
  readonly phrases?: boolean;
}

/** How a number is best read. */
type Form =
  | "octal"
  | "hex"
  | "namespaces"
  | "point"
  | "meeting"
  | "attributes"
  | "propagation"
  | "capabilities";

/** By operation and operand, or by operand alone. */
const forms: Readonly<Record<string, Form>> = {
  "clone.namespaces": "namespaces",
  "unshare.namespaces": "namespaces",
  "fork-again.namespaces": "namespaces",
  "open-namespace.kind": "namespaces",
  "open-child-namespace.kind": "namespaces",
  "open-process-namespace.kind": "namespaces",
  "join-namespace.kind": "namespaces",
  "sync.point": "point",
  "report.point": "point",
  "tell-child.step": "meeting",
  "await-child.step": "meeting",
  "tell-host.step": "meeting",
  "await-host.step": "meeting",
  "set-umask.mask": "octal",
  "set-propagation.flags": "propagation",
  "make-device.mode": "octal",
  "make-device.type": "octal",
  "make-mount.attributes": "attributes",
  "remount.set": "attributes",
  "remount.clear": "attributes",
  "set-mount-attributes.set": "attributes",
  "set-mount-attributes.clear": "attributes",
  "set-mount-attributes.propagation": "propagation",
  "drop-bounding.keep": "capabilities",
  "set-capabilities.effective": "capabilities",
  "set-capabilities.permitted": "capabilities",
  "set-capabilities.inheritable": "capabilities",
  "set-capabilities.ambient": "capabilities",
  "set-scheduler.flags": "hex",
  "load-seccomp.flags": "hex",
};

const attributeNames: readonly (readonly [bit: number, name: string])[] = [
  [mountAttr.readonly, "ro"],
  [mountAttr.nosuid, "nosuid"],
  [mountAttr.nodev, "nodev"],
  [mountAttr.noexec, "noexec"],
  [mountAttr.noatime, "noatime"],
  [mountAttr.strictatime, "strictatime"],
  [mountAttr.nodiratime, "nodiratime"],
  [mountAttr.idmap, "idmap"],
  [mountAttr.nosymfollow, "nosymfollow"],
];

const propagationNames: readonly (readonly [bit: number, name: string])[] = [
  [mountFlag.recursive, "recursive"],
  [mountFlag.private, "private"],
  [mountFlag.slave, "slave"],
  [mountFlag.shared, "shared"],
  [mountFlag.unbindable, "unbindable"],
];

/** The names of the bits of `value`; what has no name as a number. */
function bitNames(value: number, names: readonly (readonly [bit: number, name: string])[]): string {
  let rest = value;
  const found: string[] = [];
  for (const [bit, name] of names)
    if ((value & bit) === bit) {
      found.push(name);
      rest &= ~bit;
    }
  if (rest !== 0) found.push(`0x${rest.toString(16)}`);
  return found.length > 0 ? found.join(",") : "none";
}

function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(table).find(([, number]) => number === value)?.[0] ?? String(value);
}

function numberText(op: string, operand: string, value: number | bigint): string {
  const form = forms[`${op}.${operand}`];
  switch (form) {
    case undefined:
      return value === (1n << 64n) - 1n ? "unlimited" : String(value);
    case "octal":
      return `0${value.toString(8)}`;
    case "hex":
      return `0x${value.toString(16)}`;
    case "namespaces":
      return bitNames(
        Number(value),
        namespaceKinds.map((kind) => [cloneFlags([kind]), kind] as const),
      );
    case "point":
      return nameOf(syncPoints, Number(value));
    case "meeting":
      return nameOf(meetings, Number(value));
    case "attributes":
      return bitNames(Number(value), attributeNames);
    case "propagation":
      return bitNames(Number(value), propagationNames);
    case "capabilities":
      return (
        capabilitiesOfMask(BigInt(value))
          .map((name) => name.slice("CAP_".length).toLowerCase())
          .join(",") || "none"
      );
    default:
      return form satisfies never;
  }
}

/** As it stands where that cannot be misread, else as JSON; control characters never reach a terminal. */
function textOf(value: string, limit: number): string {
  const text = value.length > limit ? `${value.slice(0, limit)}…` : value;
  if (/^[\w./:@+=,-]+…?$/.test(text)) return text;
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function listOf(values: readonly unknown[], one: (value: never) => string, limit: number): string {
  const parts: string[] = [];
  let length = 0;
  for (const value of values) {
    const text = one(value as never);
    length += text.length + 1;
    if (length > limit * 3 && parts.length > 0) {
      parts.push(`… ${values.length - parts.length} more`);
      break;
    }
    parts.push(text);
  }
  return `[${parts.join(" ")}]`;
}

function bytesText(op: string, value: Uint8Array): string {
  if (op === "load-seccomp" || op === "set-device-filter") return `${value.length / 8} instructions`;
  return `${value.length} bytes`;
}

/** One operand, or undefined for an optional one that is not there. */
function operandText(
  op: string,
  name: string,
  kind: OperandKind,
  value: unknown,
  limit: number,
): string | undefined {
  switch (kind) {
    case "u32":
    case "u64":
      return `${name}=${numberText(op, name, value as number | bigint)}`;
    case "text":
      return `${name}=${textOf(value as string, limit)}`;
    case "bytes":
      return `${name}=${bytesText(op, value as Uint8Array)}`;
    case "texts":
      return `${name}=${listOf(value as readonly string[], (text: string) => textOf(text, limit), limit)}`;
    case "numbers":
      return `${name}=${listOf(value as readonly number[], String, limit)}`;
    case "fd":
    case "fd-":
      return `${name}=<${value as string}>`;
    case "fd?":
      return value === undefined ? undefined : `${name}=<${value as string}>`;
    case "fd+":
      return undefined;
    default:
      return kind satisfies never;
  }
}

/** Operation, operands, and the descriptors that it fills behind an arrow. */
export function printStep(step: Step, options: PrintOptions = {}): string {
  const operation: Operation = operations[step.op];
  const values = step as unknown as Readonly<Record<string, unknown>>;
  const used: string[] = [];
  const filled: string[] = [];
  for (const [name, kind] of Object.entries(operation.operands)) {
    if (kind === "fd+") filled.push(`<${values[name] as string}>`);
    const text = operandText(step.op, name, kind, values[name], options.valueLimit ?? 60);
    if (text !== undefined) used.push(text);
  }
  return [step.op, ...used, ...(filled.length > 0 ? ["->", ...filled] : [])].join(" ");
}

/** The whole plan; ends in a line feed. */
export function printPlan(plan: Plan, options: PrintOptions = {}): string {
  const stages = { host: plan.host, child: plan.child, cleanup: plan.cleanup, layer: plan.layer ?? [] };
  const lines: string[] = [];
  for (const [stage, steps] of Object.entries(stages))
    for (const [index, step] of steps.entries()) {
      const where = step.where === "" ? "" : `  (${step.where})`;
      const phrase = options.phrases && step.phrase ? `  "${step.phrase}"` : "";
      lines.push(
        `${stage.padEnd(7)} ${String(index).padStart(3)}  ${printStep(step, options)}${where}${phrase}`,
      );
    }
  return `${lines.join("\n")}\n`;
}
