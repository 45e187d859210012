/** The options that run, create and explain share: docker's names, letters and words. */

import { type RestartPolicy, restartPolicyNames } from "../../engine/containers/restart-policy.ts";
import { parseDuration, parseMemory } from "../format/units.ts";
import { flag, list, parsed, text, whole } from "../options.ts";
import { checkDeviceRule, parseDevice, parseGpus } from "./devices.ts";
import { limitOptions } from "./limit-table.ts";
import { parseUlimit } from "./limits.ts";
import { parseMount } from "./mount-flag.ts";
import { parseTmpfs, parseVolume } from "./mounts.ts";
import { parseDns, parseDnsSearch, parseExpose, parseExtraHost } from "./names.ts";
import { namespaceMode, parseNetwork } from "./namespaces.ts";

const bytes = (help: string, options: { short?: string } = {}) => parsed(help, "bytes", parseMemory, options);
const choice = (help: string, ...values: readonly string[]) =>
  parsed(help, values.join("|"), (given) => {
    if (!values.includes(given)) throw new Error(`must be one of ${values.join(", ")}`);
    return given;
  });
const duration = (help: string) =>
  parsed(help, "duration", (given) => {
    const ms = parseDuration(given);
    if (ms !== 0 && ms < 1) throw new Error("cannot be less than 1ms");
    return Math.round(ms);
  });
const pair = (given: string): readonly [string, string] => {
  const equals = given.indexOf("=");
  if (equals < 1) throw new Error("must be NAME=VALUE");
  return [given.slice(0, equals), given.slice(equals + 1)];
};

export const createOptions = {
  ...limitOptions,
  "add-host": list("Add a custom host-to-IP mapping (host:ip)", { parse: parseExtraHost }),
  annotation: list("Add an annotation to the container (passed through to the OCI runtime)", {
    value: "map",
    parse: pair,
  }),
  attach: list("Attach to STDIN, STDOUT or STDERR", { short: "a" }),
  "cap-add": list("Add Linux capabilities"),
  "cap-drop": list("Drop Linux capabilities"),
  cgroupns: choice("Cgroup namespace to use", "private", "host"),
  "cgroup-parent": text("Optional parent cgroup for the container"),
  cidfile: text("Write the container ID to the file"),
  device: list("Add a host device to the container: /dev/x[:/dev/y][:rwm], or vendor.com/class=name (CDI)", {
    parse: parseDevice,
  }),
  "device-cgroup-rule": list("Add a rule to the cgroup allowed devices list", { parse: checkDeviceRule }),
  "disable-content-trust": flag("Accepted; there is no content trust", { hidden: true, fallback: true }),
  dns: list("Set custom DNS servers", { parse: parseDns }),
  "dns-option": list("Set DNS options"),
  "dns-opt": list("The same as --dns-option", { hidden: true }),
  "dns-search": list("Set custom DNS search domains", { parse: parseDnsSearch }),
  domainname: text("Container NIS domain name"),
  entrypoint: text("Overwrite the default ENTRYPOINT of the image"),
  env: list("Set environment variables", { short: "e" }),
  "env-file": list("Read in a file of environment variables"),
  expose: list("Expose a port or a range of ports", { parse: parseExpose }),
  gpus: parsed("GPU devices to add to the container ('all' to pass all GPUs)", "gpu-request", parseGpus),
  "group-add": list("Add additional groups to join"),
  "health-cmd": text("Command to run to check health"),
  "health-interval": duration("Time between running the check (ms|s|m|h) (default 30s)"),
  "health-retries": whole("Consecutive failures needed to report unhealthy", { min: 0 }),
  "health-start-interval": duration("Time between running the check during the start period (default 5s)"),
  "health-start-period": duration("Start period for the container to initialize before failures count"),
  "health-timeout": duration("Maximum time to allow one check to run (default 30s)"),
  hostname: text("Container host name", { short: "h" }),
  init: flag("Run an init inside the container that forwards signals and reaps processes"),
  interactive: flag("Keep STDIN open even if not attached", { short: "i" }),
  ipc: parsed(
    "IPC mode to use: none, private, shareable, host or container:NAME",
    "string",
    namespaceMode("none", "private", "shareable", "host"),
  ),
  label: list("Set meta data on a container", { short: "l" }),
  "label-file": list("Read in a line delimited file of labels"),
  "log-driver": text("Logging driver for the container: json-file, k8s-file, journald, syslog or none"),
  "log-opt": list("Log driver options: max-size=16m, max-file=2, tag, labels, env, syslog-address", {
    parse: keyValue,
  }),
  mount: list(
    "Attach a filesystem mount to the container: type=bind|volume|tmpfs|image,source=…,target=…[,readonly]",
    {
      value: "mount",
      parse: (given: string) => parseMount(given),
    },
  ),
  "no-healthcheck": flag("Disable any container-specified HEALTHCHECK"),
  name: text("Assign a name to the container"),
  network: parsed(
    "Network of the container: none (the default: nothing but lo), host or container:NAME",
    "network",
    parseNetwork,
  ),
  net: parsed("The same as --network", "network", parseNetwork, { hidden: true }),
  "oom-kill-disable": flag("Disable OOM Killer"),
  "oom-score-adj": whole("Tune host's OOM preferences (-1000 to 1000)"),
  pid: parsed(
    "PID namespace to use: private, host or container:NAME",
    "string",
    namespaceMode("private", "host"),
  ),
  platform: text("Set platform if server is multi-platform capable"),
  pod: text("Run the container in a pod, by its name or ID"),
  privileged: flag("Give extended privileges to this container"),
  publish: list("Ports are not available yet", { short: "p", hidden: true, parse: refusePort }),
  pull: choice('Pull image before creating (default "missing")', "always", "missing", "never"),
  quiet: flag("Suppress the pull output", { short: "q" }),
  "read-only": flag("Mount the container's root filesystem as read only"),
  restart: parsed(
    "Restart policy to apply when a container exits: no, always, unless-stopped, on-failure[:max-retries]",
    "string",
    parseRestart,
  ),
  rm: flag("Automatically remove the container when it exits"),
  runtime: text("Runtime to use for this container: a name, or the path of an OCI runtime"),
  "security-opt": list(
    "Security options: no-new-privileges, seccomp=FILE|unconfined, systempaths=unconfined",
  ),
  "shm-size": bytes("Size of /dev/shm"),
  "stop-signal": text("Signal to stop the container"),
  "stop-timeout": whole("Timeout (in seconds) to stop a container", { min: -1 }),
  sysctl: list("Sysctl options", { value: "name=value", parse: pair }),
  tmpfs: list("Mount a tmpfs directory: /path[:size=64m,mode=1770]", { parse: parseTmpfs }),
  tty: flag("Allocate a pseudo-TTY", { short: "t" }),
  ulimit: list("Ulimit options: nofile=1024:2048", { value: "ulimit", parse: parseUlimit }),
  user: text("Username or UID (format: <name|uid>[:<group|gid>])", { short: "u" }),
  userns: parsed("User namespace to use: host or container:NAME", "string", namespaceMode("host")),
  uts: parsed(
    "UTS namespace to use: private, host or container:NAME",
    "string",
    namespaceMode("private", "host"),
  ),
  volume: list("Bind mount a volume or a host path: name:/path[:ro], /host:/path[:ro], /path", {
    short: "v",
    parse: (given: string) => parseVolume(given),
  }),
  "volume-driver": text("Optional volume driver for the container (there is local)"),
  "volumes-from": list("Mount volumes from the specified container(s): NAME[:ro]"),
  workdir: text("Working directory inside the container", { short: "w" }),
};

/** Docker takes a name alone for an empty value; which names there are, the driver knows. */
function keyValue(given: string): readonly [string, string] {
  const equals = given.indexOf("=");
  return equals < 0 ? [given, ""] : [given.slice(0, equals), given.slice(equals + 1)];
}

function refusePort(): never {
  throw new Error("networks with published ports are not available yet: use --network host");
}

/** Docker's words for what it does not take. */
export function parseRestart(given: string): RestartPolicy {
  const [name = "", retries, ...more] = given.split(":");
  if (more.length > 0) throw new Error("invalid restart policy format");
  const known = restartPolicyNames.find((one) => one === (name || "no"));
  if (!known) throw new Error(`invalid restart policy '${name}'`);
  if (retries === undefined) return { name: known };
  if (!/^\d{1,9}$/.test(retries)) throw new Error("maximum retry count must be an integer");
  if (known !== "on-failure") throw new Error("maximum retry count can only be used with 'on-failure'");
  return { name: known, maximumRetries: Number(retries) };
}
