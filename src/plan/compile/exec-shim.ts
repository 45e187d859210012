/** The shim of a further process: what it needs before that is made, and how it stays. */
import { basename, dirname, join } from "node:path";
import { stateFiles } from "../state-files.ts";
import type { Draft } from "./draft.ts";
import { recordOfExit } from "./life.ts";
import type { ExecRequest, ExecShim } from "./request.ts";
import { openShimStreams, supervise } from "./shim-streams.ts";

/** Of a host that shuts down, to a process that nobody has told what it stops at. */
const stopSignal = 15;

/** Before the process is made: then it can no longer fail when the program runs. Says what goes on 0, 1 and 2. */
export function openExecShim(draft: Draft<ExecRequest>, shim: ExecShim): readonly (string | undefined)[] {
  const [dir, name] = [dirname(shim.state), basename(shim.state)];
  const socket = join(shim.state, stateFiles.socket);
  draft.host.push({ op: "open-shim", where: "", socket, log: "", format: 0, limitBytes: 0, files: 1 });
  if (!shim.detached) draft.cleanup.push({ op: "remove-when-told", where: "", dir, name });
  return openShimStreams(draft, shim.stdin);
}

/** The program runs. */
export function stayAsExecShim(draft: Draft<ExecRequest>, shim: ExecShim): void {
  supervise(draft, shim.stdin, stopSignal);
  draft.cleanup.unshift({ op: "kill-child", where: "" });
  if (shim.onEnd) draft.cleanup.push({ op: "append-line", where: "", ...shim.onEnd });
  draft.cleanup.push(recordOfExit(shim.state));
}
