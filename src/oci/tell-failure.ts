/** How a failed start is told: runc's words before the reason, in the log's form, by this program or by the executor. */
import { GantryError } from "../base/error.ts";
import type { StepOf } from "../plan/plan.ts";

export const ociName = "gantry-oci";

/** What runc says before the reason, by the side on which the plan failed. */
const startIntro = "unable to start container process: ";
const initIntro = `${startIntro}error during container init: `;

/** Exit status of a command that fails by itself, as runc has it; of `exec` any other may be its program's. */
function ownFailure(verb: string): number {
  return verb === "exec" ? 255 : 1;
}

/** Where --log and --log-format send errors; stderr without a file. */
export interface LogTarget {
  readonly file?: string | undefined;
  readonly format: "text" | "json";
}

/** The words before any failure of `verb`. */
export function verbIntro(verb: string): string {
  return verb === "exec" ? "exec failed: " : `${ociName} ${verb} failed: `;
}

/** Verbs whose plans start no program. */
const withoutProgram = new Set(["delete", "pause", "resume", "update"]);

/** A failure of `verb` that came as an error: phrase, reason, and in brackets the step and its place in the config. */
export function failureText(error: unknown, verb: string): string {
  if (!(error instanceof GantryError)) return error instanceof Error ? error.message : String(error);
  const { stage, status, op, pointer } = error.detail;
  if (status !== undefined || typeof stage !== "string") return error.message;
  if (withoutProgram.has(verb)) return error.message;
  const intro = error.message.startsWith(startIntro) ? "" : stage === "child" ? initIntro : startIntro;
  const place = op === undefined ? "" : ` [${op}${pointer ? ` ${pointer}` : ""}]`;
  return `${intro}${error.message}${place}`;
}

/** The step that has the executor tell the same in the same form when nobody waits for its report. */
export function tellFailure(
  verb: string,
  { file, format }: LogTarget,
  debug = false,
): StepOf<"tell-failure"> {
  const intro = verbIntro(verb);
  const line = (level: string, message: string) =>
    format === "json"
      ? `{"level":"${level}","msg":"${message}","time":"@TIME@"}\n`
      : `time="@TIME@" level=${level} msg="${message}"\n`;
  return {
    op: "tell-failure",
    where: "",
    log: file ?? "",
    line: line("error", `${intro}@MESSAGE@`),
    intro,
    host: startIntro,
    child: initIntro,
    status: ownFailure(verb),
    trace: debug ? line("debug", "@MESSAGE@") : "",
  };
}

/** An error that ends `verb` when its flags have been understood: told with the words and the status of that verb. */
export function failureOf(verb: string, error: unknown): GantryError {
  const { code, detail } =
    error instanceof GantryError ? error : new GantryError("internal", "", { cause: error });
  return new GantryError(code, `${verbIntro(verb)}${failureText(error, verb)}`, {
    // what is told of the step stands in the text now
    detail: { ...detail, stage: undefined, exitStatus: ownFailure(verb) },
    cause: error,
  });
}

/** The exit status that an error stands for. */
export function statusOf(error: unknown): number {
  const status = error instanceof GantryError ? error.detail.exitStatus : undefined;
  return typeof status === "number" ? status : 1;
}
