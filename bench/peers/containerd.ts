/** containerd with a root, state and socket of its own, driven by ctr. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command, must } from "../../test/lib/command.ts";
import { owning, type Peer, type PeerOptions, removeGroups, startDaemon, unmountBelow } from "./peer.ts";

export interface Containerd extends AsyncDisposable {
  readonly socket: string;
  restart(): Promise<void>;
}

/** The daemon alone; dockerd needs one too. */
export async function startContainerd(
  dir: string,
  volatile = join(dir, "volatile"),
  enter: readonly string[] = [],
): Promise<Containerd> {
  for (const place of [dir, volatile]) mkdirSync(place, { recursive: true });
  const socket = join(dir, "containerd.sock");
  const file = join(dir, "config.toml");
  const config = [
    "version = 2",
    `root = "${join(dir, "root")}"`,
    `state = "${volatile}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs"]',
    "[grpc]",
    `  address = "${socket}"`,
  ];
  writeFileSync(file, `${config.join("\n")}\n`);
  const answers = async () => (await command(["ctr", "-a", socket, "version"])).code === 0;
  const daemon = await startDaemon([...enter, "containerd", "--config", file], dir, answers);
  return {
    socket,
    restart: () => daemon.restart(),
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      for (const place of [dir, volatile]) await unmountBelow(place);
    },
  };
}

const image = "docker.io/library/busybox:latest";

/** `flags` are those of ctr itself. */
export function openContainerd(dir: string, layout: string, options: PeerOptions = {}): Promise<Peer> {
  const { volatile = join(dir, "volatile"), runtime, flags = [], enter = [] } = options;
  return owning(async (scope) => {
    scope.defer(() => removeGroups("default"));
    const containerd = scope.use(await startContainerd(dir, volatile, enter));
    const ctr = ["ctr", "--address", containerd.socket, ...flags];
    const call = (...args: string[]) => must([...ctr, ...args], { timeoutMs: 300_000 });
    const chosen = runtime ? ["--runc-binary", runtime] : [];
    const archive = join(dir, "busybox.tar");
    await must(["tar", "-C", layout, "-cf", archive, "."]);
    // Containers of ctr are named by its user.
    let runs = 0;
    await call("images", "import", "--base-name", "docker.io/library/busybox", archive);
    return {
      name: "ctr",
      cli: ctr,
      image,
      env: {},
      monitor: /containerd-shim/,
      restart: () => containerd.restart(),
      runTrue: () => [...ctr, "run", "--rm", ...chosen, image, `bench-${++runs}`, "true"],
      async startIdle(name) {
        await call("run", "--detach", ...chosen, image, name, "sleep", "1000");
      },
      async removeIdle(name) {
        await call("tasks", "delete", "--force", name);
        await call("containers", "delete", name);
      },
      daemon: /(^|\/)containerd\0/,
      exec: (name, program) => [
        ...[...ctr, "tasks", "exec", "--exec-id", `bench-${++runs}`],
        ...[name, ...program],
      ],
      runAttached: (name, program) => [...ctr, "run", "--rm", ...chosen, image, name, ...program],
      list: [...ctr, "tasks", "ls"],
      stats: undefined,
      life: (name) => [
        [...ctr, "containers", "create", image, name, "sleep", "1000"],
        [...ctr, "tasks", "start", "--detach", name],
        [...ctr, "tasks", "delete", "--force", name],
        [...ctr, "containers", "delete", name],
      ],
      logged: () => undefined,
      async pull(reference) {
        await call("images", "pull", "--plain-http", reference);
      },
      async forget(reference) {
        await call("images", "remove", "--sync", reference);
      },
    };
  });
}
