/** Names of the files in a container's state directory: those of the engine, and those of the OCI runtime. */
export const stateFiles = {
  start: "start.json",
  exit: "exit.json",
  socket: "shim.sock",
  oci: "state.json",
  fifo: "exec.fifo",
} as const;
