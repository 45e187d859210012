/**
 * Conditions on arguments as BPF. An argument is 64 bits wide and BPF compares 32, so most comparisons
 * look at the high half first and at the low half if that did not decide:
 *
 *   GT:  high > limit ── yes ─────────────► yes        EQ:  high == limit ── no ──► no
 *          │ no                              ▲                │ yes
 *        high == limit ── no ──► no          │              low == limit ─── no ──► no
 *          │ yes                             │                │ yes
 *        low > limit ── yes ─────────────────┘              yes
 */
import type { Condition } from "./actions.ts";
import { type BackwardAssembler, type Label, opcodes } from "./assembler.ts";
import type { ConditionalRule } from "./verdicts.ts";

/** Offset of args[0] in struct seccomp_data; the low half of an argument comes first (little-endian). */
const dataArgs = 16;

/**
 * Writes the checks of one call, which end in `otherwise` if no rule matches. Returns their entry, which
 * expects nothing to be loaded.
 */
export function writeRules(
  out: BackwardAssembler,
  rules: readonly ConditionalRule[],
  otherwise: Label,
): Label {
  let next = otherwise;
  for (let i = rules.length - 1; i >= 0; i--) {
    const rule = rules[i]!;
    let success = out.return(rule.value);
    for (let j = rule.conditions.length - 1; j >= 0; j--)
      success = writeCondition(out, rule.conditions[j]!, success, next);
    next = success;
  }
  return next;
}

/** Writes one comparison: high half first where it matters, then the low half. */
function writeCondition(out: BackwardAssembler, condition: Condition, yes: Label, no: Label): Label {
  const { index, op, high, low, maskHigh, maskLow } = condition;
  const lowOffset = dataArgs + 8 * index;
  const load = (offset: number, mask: number) => {
    if (mask !== 0xffffffff) out.and(mask);
    return out.load(offset);
  };
  switch (op) {
    case "SCMP_CMP_NE":
      return writeEqual(no, yes);
    case "SCMP_CMP_EQ":
    case "SCMP_CMP_MASKED_EQ":
      return writeEqual(yes, no);
    case "SCMP_CMP_GT":
      return writeOrder(opcodes.ifGreater, yes, no);
    case "SCMP_CMP_GE":
      return writeOrder(opcodes.ifGreaterOrEqual, yes, no);
    case "SCMP_CMP_LE":
      return writeOrder(opcodes.ifGreater, no, yes);
    case "SCMP_CMP_LT":
      return writeOrder(opcodes.ifGreaterOrEqual, no, yes);
    default:
      throw op satisfies never;
  }

  function writeEqual(equal: Label, different: Label): Label {
    let label = equal;
    if (maskLow !== 0) {
      out.branch(opcodes.ifEqual, low, equal, different);
      label = load(lowOffset, maskLow);
    }
    if (maskHigh !== 0) {
      out.branch(opcodes.ifEqual, high, label, different);
      label = load(lowOffset + 4, maskHigh);
    }
    return label;
  }

  function writeOrder(lowCode: number, above: Label, below: Label): Label {
    out.branch(lowCode, low, above, below);
    let label = out.load(lowOffset);
    if (maskHigh !== 0) {
      label = out.branch(opcodes.ifEqual, high, label, below);
      out.branch(opcodes.ifGreater, high, above, label);
      label = out.load(lowOffset + 4);
    }
    return label;
  }
}
