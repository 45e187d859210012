/** conmon as podman calls it: it creates a container, logs, serves an attach socket and writes down the end. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, containerId, type Runtime } from "../kernel/bundle.ts";
import { command, type Outcome } from "../lib/command.ts";
import { until } from "../lib/until.ts";

export interface Conmon {
  readonly id: string;
  /** What conmon says on podman's pipe: first a pid, or -1 with why there is none; with exec then the status. */
  readonly told: readonly { readonly data: number; readonly message?: string }[];
  readonly log: string;
  readonly persist: string;
  readonly attachSocket: string;
  pid(): number;
  conmonPid(): number;
  /** The exit status, once it is written. */
  exit(): Promise<number>;
}

/** Signals only what this test has started. */
export function parentOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")[1]);
}

/** Starts conmon and waits until it has handed over the container or said why not. */
export async function startConmon(
  runtime: Runtime,
  bundle: Bundle,
  extra: readonly string[] = [],
  id = containerId(),
): Promise<Conmon> {
  const dir = join(bundle.files, `conmon-${id}-${extra.includes("--exec") ? "exec" : "init"}`);
  const place = (name: string) => join(dir, name);
  for (const name of ["exits", "sockets", "persist"]) mkdirSync(place(name), { recursive: true });
  const argv = [
    ...["--api-version", "1", "--cid", id, "--cuuid", id, "--name", id, "--bundle", bundle.path],
    ...["--runtime", runtime.program, "--runtime-arg", `--root=${runtime.root}`],
    ...["--runtime-arg", "--log-format=json", "--runtime-arg", `--log=${place("runtime.log")}`],
    ...["--container-pidfile", place("pid"), "--conmon-pidfile", place("conmon.pid")],
    ...["--exit-dir", place("exits"), "--socket-dir-path", place("sockets")],
    ...["--persist-dir", place("persist"), "--log-path", `k8s-file:${place("log")}`, "--log-level", "error"],
    ...["--exit-command", "/bin/sh", "--exit-command-arg", "-c"],
    ...["--exit-command-arg", `echo over >> ${place("over")}`],
    ...extra,
  ];
  const conmon = spawn("conmon", argv, {
    // it leaves files in its own directory
    cwd: bundle.path,
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    env: { ...process.env, _OCI_SYNCPIPE: "3" },
  });
  const told: { data: number; message?: string }[] = [];
  listen(conmon, told);
  await until("conmon to say what became of the container", () => told.length > 0, 20_000);
  return {
    id,
    told,
    log: place("log"),
    persist: place("persist"),
    attachSocket: join(place("sockets"), id, "attach"),
    pid: () => Number(readFileSync(place("pid"), "utf8")),
    conmonPid: () => Number(readFileSync(place("conmon.pid"), "utf8")),
    async exit() {
      const file = join(place("exits"), id);
      const text = await until("conmon to write the exit status", () =>
        existsSync(file) ? readFileSync(file, "utf8") : undefined,
      );
      await until("conmon to run the exit command", () => existsSync(place("over")));
      return Number(text);
    },
  };
}

function listen(conmon: ChildProcess, told: { data: number; message?: string }[]): void {
  let rest = "";
  conmon.stdio[3]!.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line !== "") told.push(JSON.parse(line));
  });
}

/** Talks to the attach socket, whose packets begin with their stream: sends, ends that, and hands back all that came. */
export async function attach(socket: string, input: string): Promise<Outcome> {
  const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(sys.argv[2].encode())
s.shutdown(socket.SHUT_WR)
streams = {}
while True:
    data = s.recv(8192)
    if not data: break
    streams[data[0]] = streams.get(data[0], b"") + data[1:]
for stream, data in streams.items(): sys.stdout.write("%d:%s" % (stream, data.decode()))
`;
  return await command(["python3", "-c", program, socket, input], { timeoutMs: 20_000 });
}
