/** `process.rlimits`. */
import { refuse } from "../../base/decode.ts";
import { rlimInfinity, rlimitNumber } from "../../linux/rlimits.ts";
import { holds } from "../host-facts.ts";
import type { Draft } from "./draft.ts";

const capSysResource = 24;

/** Hard limits cannot be raised without CAP_SYS_RESOURCE in the first user namespace (setrlimit(2)). */
export function setRlimits(draft: Draft): void {
  const mayRaise = holds(draft.facts, capSysResource);
  for (const [index, { type, soft, hard }] of (draft.config.process?.rlimits ?? []).entries()) {
    const where = `/process/rlimits/${index}`;
    const resource = rlimitNumber(type);
    if (resource === undefined) refuse(`${where}/type`, `invalid rlimit type: ${type}`);
    if (BigInt(soft) > BigInt(hard)) refuse(`${where}/soft`, `${soft} is above the hard limit ${hard}`);
    const own = draft.facts.rlimits[type]?.hard ?? rlimInfinity;
    if (!mayRaise && BigInt(hard) > own)
      refuse(
        `${where}/hard`,
        `${type} ${hard} is above ${own}, the hard limit of this process, which lacks CAP_SYS_RESOURCE to raise it`,
      );
    draft.child.push({
      op: "set-rlimit",
      where,
      phrase: `error setting rlimit type ${resource}`,
      resource,
      soft,
      hard,
    });
  }
  restoreFileLimit(draft);
}

/** What this process raised for itself is not for the program: many walk over all descriptors that they may have. */
function restoreFileLimit(draft: Draft): void {
  const { fileLimitAtStart: soft } = draft.facts;
  const asked = (draft.config.process?.rlimits ?? []).some(({ type }) => type === "RLIMIT_NOFILE");
  const own = soft === undefined || asked ? undefined : draft.facts.rlimits.RLIMIT_NOFILE;
  if (soft === undefined || own === undefined || own.hard <= BigInt(soft)) return;
  const resource = rlimitNumber("RLIMIT_NOFILE")!;
  draft.child.push({ op: "set-rlimit", where: "/process/rlimits", resource, soft, hard: own.hard });
}
