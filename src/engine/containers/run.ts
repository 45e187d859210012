/** Makes a container and starts it. */
import { faultPoint } from "../../base/fault.ts";
import type { TerminalSize } from "../../bundle/exec-process.ts";
import type { Dialogue } from "../../launch/dialogue.ts";
import type { Internals } from "../internals.ts";
import { Container } from "./container.ts";
import { type CreateOptions, type CreateRequest, type MadeContainer, makeContainer } from "./create.ts";
import { containerAttributes } from "./event-attributes.ts";
import { launchLocked } from "./start.ts";

export interface RunRequest extends CreateRequest {
  /** Connect stdout, stderr and stdin to this program; default true. */
  readonly attach?: boolean | undefined;
  /** Of its terminal, if it has one, from the first moment on. */
  readonly terminalSize?: TerminalSize | undefined;
}

/** Resolves when the program of the container runs. If it cannot be started, nothing is left of the container. */
export async function runContainer(
  internals: Internals,
  request: RunRequest,
  options: CreateOptions = {},
): Promise<Container> {
  const { attach, terminalSize, ...rest } = request;
  const create = { ...rest, stdinOnce: rest.stdinOnce ?? attach !== false };
  let executor: Dialogue | undefined;
  // it comes up while the container is made
  const onImage = () => {
    executor = internals.executors.take();
  };
  const run = async ({ record, input }: MadeContainer) => {
    internals.events.append("container", "create", record.id, containerAttributes(record));
    try {
      const attachment = await launchLocked(internals, record, input, {
        ...(executor ? { executor } : {}),
        ...(attach === undefined ? {} : { attach }),
        terminalSize,
        ...(options.signal ? { signal: options.signal } : {}),
      });
      faultPoint("run-started");
      return new Container(internals, record.id, record.name, attachment);
    } catch (error) {
      internals.events.append("container", "destroy", record.id, containerAttributes(record));
      throw error;
    }
  };
  try {
    return await makeContainer(internals, create, { ...options, onImage }, run);
  } catch (error) {
    executor?.close();
    throw error;
  }
}
