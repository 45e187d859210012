/** Options of the commands that end containers. */
import type { StopOptions } from "../engine/containers/stop.ts";
import { text, type ValuesOf, whole } from "./options.ts";

/** How a container is asked to end, and how long that may take. */
export const stopOptions = {
  signal: text("Signal to send to the container (default: its stop signal)", { short: "s" }),
  timeout: whole("Seconds to wait before killing the container; -1 waits for ever", {
    short: "t",
    min: -1,
  }),
  time: whole("The same as --timeout", { min: -1, hidden: true }),
};

export function stopChoice({ signal, timeout, time }: ValuesOf<typeof stopOptions>): StopOptions {
  const timeoutSeconds = timeout ?? time;
  return {
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(signal === undefined ? {} : { stopSignal: signal }),
  };
}
