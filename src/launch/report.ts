/** What the executor says when a plan ends early, and the error that a caller gets to see. */
import { type ErrorCode, GantryError } from "../base/error.ts";
import { errnoName, errnoWords } from "../linux/errno.ts";
import type { Plan, Step } from "../plan/plan.ts";
import { stageNumbers } from "../plan/protocol.ts";

/** The payload of a `failed` frame. */
export interface FailureReport {
  /** One of stageNumbers; 0 is the whole-plan check. */
  readonly stage: number;
  /** Index of the step within its stage. */
  readonly step: number;
  /** errno, 0 where the detail says all. */
  readonly errno: number;
  /** Exit status that the failure stands for (126, 127), or 0. */
  readonly status: number;
  readonly detail: string;
}

/** Decodes `{u32 stage, u32 step, i32 errno, u32 status, u32 length, text}`. */
export function decodeFailure(payload: Uint8Array): FailureReport {
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.length < 20 || view.readUInt32LE(16) > view.length - 20)
    throw new GantryError("internal", "read failure report: it is cut short");
  return {
    stage: view.readUInt32LE(0),
    step: view.readUInt32LE(4),
    errno: view.readInt32LE(8),
    status: view.readUInt32LE(12),
    detail: view.toString("utf8", 20, 20 + view.readUInt32LE(16)),
  };
}

function stepOf(plan: Plan, report: FailureReport): Step | undefined {
  switch (report.stage) {
    case stageNumbers.host:
      return plan.host[report.step];
    case stageNumbers.child:
      return plan.child[report.step];
    case stageNumbers.cleanup:
      return plan.cleanup[report.step];
    case stageNumbers.layer:
      return plan.layer?.[report.step];
    default:
      return undefined;
  }
}

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  ENOSPC: "resource-exhausted",
  ENOMEM: "resource-exhausted",
  EMFILE: "resource-exhausted",
  EDQUOT: "resource-exhausted",
  EPERM: "permission-denied",
  EACCES: "permission-denied",
  EROFS: "failed-precondition",
  ECONNABORTED: "aborted",
};

/**
 * One line with the phrase, the object and the reason, e.g.
 * `error mounting "proc" to rootfs at "/proc": /proc: operation not permitted`. The detail holds stage,
 * step, operation, errno, the JSON pointer of the config and the exit status.
 */
export function failureError(plan: Plan, report: FailureReport): GantryError {
  const stage =
    Object.entries(stageNumbers).find(([, number]) => number === report.stage)?.[0] ?? String(report.stage);
  if (report.stage === stageNumbers.check)
    return new GantryError(
      "internal",
      `check plan: step ${report.step} of stage ${report.status}: ${report.detail}`,
      {
        detail: { ...report, stage },
      },
    );
  const step = stepOf(plan, report);
  // with a status the detail is the whole sentence, in the words that callers of runc parse
  const reason = report.errno && !report.status ? errnoWords(report.errno) : "";
  const message = [step?.phrase ?? step?.op ?? "run plan", report.detail, reason]
    .filter((part) => part !== "")
    .join(": ");
  const errno = report.errno ? errnoName(report.errno) : undefined;
  return new GantryError((errno && codes[errno]) || "failed-precondition", message, {
    detail: {
      stage,
      step: report.step,
      ...(step ? { op: step.op, pointer: step.where } : {}),
      ...(errno ? { errno } : {}),
      ...(report.status ? { status: report.status } : {}),
    },
  });
}
