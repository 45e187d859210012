/**
 * A further process in a container that another OCI runtime has made -> its plan. As foreign.ts, but that the runtime
 * lets the program go on by itself: until that is written down a guard ends it with the shim.
 */
import { bug } from "../../base/error.ts";
import type { Plan } from "../plan.ts";
import { Draft } from "./draft.ts";
import { openExecShim, stayAsExecShim } from "./exec-shim.ts";
import { standInForRoot } from "./lend.ts";
import { recordOfStart } from "./life.ts";
import type { ExecRequest, ForeignRuntime } from "./request.ts";
import { foreignPlaces, launchSteps } from "./runtime-steps.ts";
import { closeEnds } from "./shim-streams.ts";

/** The state directory is there, and holds the process for the runtime to read. */
export function compileForeignExec(request: ExecRequest, runtime: ForeignRuntime): Plan {
  const draft = new Draft(request);
  const { id, mode, config } = request;
  const { shim } = mode;
  if (!shim || !config.process) bug("a foreign exec without a shim or a process");
  const { state } = shim;
  const stdio = openExecShim(draft, shim);
  const { before, launch, after } = launchSteps(
    runtime,
    state,
    (options) => ["exec", "--detach", "--process", foreignPlaces.process(state), ...options, id],
    { directory: state, stdio, terminal: config.process.terminal ?? false },
  );
  draft.host.push({ op: "prepare-runtime", where: "" });
  if (draft.linux.namespaces?.some(({ type }) => type === "user")) standInForRoot(draft);
  draft.host.push(...before, { op: "guard-runtime", where: "" }, launch);
  closeEnds(draft.host, stdio);
  draft.host.push(
    { op: "adopt-container", where: "", pidFile: foreignPlaces.pid(state) },
    ...after,
    recordOfStart(state, shim.record),
    { op: "dismiss-guard", where: "" },
  );
  stayAsExecShim(draft, shim);
  return draft.finish();
}
