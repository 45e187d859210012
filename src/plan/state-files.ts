/** Names of the files in a container's state directory: those of the engine, and those of the OCI runtime. */
export const stateFiles = {
  start: "start.json",
  exit: "exit.json",
  socket: "shim.sock",
  /** The name of a container that got another one since its start. */
  renamed: "renamed",
  oci: "state.json",
  /** The bundle's config as it was when the container was made. */
  config: "config.json",
  /** `linux.resources` as the last update left them, in place of the config's. */
  resources: "resources.json",
  /** The seccomp filter that the config asks for, compiled. */
  filter: "seccomp.filter",
  fifo: "exec.fifo",
  /** What native/quick.c reads. */
  quick: "quick",
  /** The systemd unit that holds the container, written before systemd is asked for it. */
  unit: "unit.json",
  /** Of a pod: which executor starts it, and the record that it is ready, which comes last. */
  starter: "starter.json",
  sandbox: "sandbox.json",
  /** Of a container that another runtime makes: its bundle, and what the runtime says and writes. */
  bundle: "bundle",
  runtimeLog: "runtime.log",
  runtimePid: "runtime.pid",
  /** The process that it is to exec, and the socket at which it hands over the master of a terminal. */
  runtimeProcess: "process.json",
  consoleSocket: "console.sock",
  /** Directory of the socket at which the container says that it is ready. */
  notify: "notify",
  notifySocket: "notify.sock",
} as const;
