/**
 * What a container has of others that run. A number of a process may be another's by now, so the process is opened and
 * proved first, and what belongs to it comes from there.
 */
import type { Draft } from "./draft.ts";
import type { Donor } from "./request.ts";

/** statfs(2): what /dev/shm is. */
export const tmpfsType = 0x01021994;

/** The register of a donor's process, opened when first asked for. Before the clone only. */
export function donorRegister(draft: Draft, { pid, start }: Donor, where: string): string {
  const fd = `donor ${pid}`;
  if (draft.once(fd))
    draft.host.push({
      op: "open-process",
      where,
      phrase: "unable to join a container that has ended",
      pid,
      start,
      fd,
    });
  return fd;
}

/** Before the clone: the child shall not inherit a way to other containers. */
export function closeDonors(draft: Draft): void {
  const opened = draft.host.flatMap((step) =>
    step.op === "open-process" && step.fd.startsWith("donor ") ? [step.fd] : [],
  );
  for (const fd of opened) draft.host.push({ op: "close", where: "", fd });
}
