/** `start` for a service manager that waits until the container is ready. */
import { join } from "node:path";
import { findExecutor } from "../launch/executor.ts";
import { runPlan } from "../launch/launch.ts";
import { type Plan, syncPoints } from "../plan/plan.ts";
import { stateFiles } from "../plan/state-files.ts";
import type { OciContainer } from "./state-directory.ts";

function planOf({ directory, pid }: OciContainer, manager: string): Plan {
  const [fd, peer] = ["notify socket", "service manager"];
  return {
    host: [
      {
        op: "open-notify",
        where: "",
        phrase: "unable to set up the notify socket",
        dir: join(directory, stateFiles.notify),
        name: stateFiles.notifySocket,
        manager,
        fd,
        peer,
      },
      { op: "sync", where: "", point: syncPoints.ready },
      { op: "relay-notify", where: "", socket: fd, manager: peer, pid },
    ],
    child: [],
    cleanup: [],
  };
}

/** Lets the program go on (`release`) once somebody listens to it; returns when it is ready or over. */
export async function releaseNotified(
  container: OciContainer,
  manager: string,
  release: () => void,
): Promise<void> {
  await runPlan(planOf(container, manager), {
    executor: findExecutor(),
    stdio: ["ignore", "inherit", "inherit"],
    onSync: release,
  });
}
