/** dockerd over a containerd of its own, driven by the docker command. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { command, must } from "../../test/lib/command.ts";
import { startContainerd } from "./containerd.ts";
import {
  dockerLike,
  owning,
  type Peer,
  type PeerOptions,
  removeGroups,
  startDaemon,
  unmountBelow,
} from "./peer.ts";

const image = "busybox:latest";

export function openDockerd(dir: string, layout: string, options: PeerOptions = {}): Promise<Peer> {
  const { volatile = join(dir, "volatile"), runtime, enter = [], flags = [] } = options;
  return owning(async (scope) => {
    for (const place of [dir, volatile]) mkdirSync(place, { recursive: true });
    scope.defer(() => removeGroups("docker"));
    for (const place of [dir, volatile]) scope.defer(() => unmountBelow(place));
    const containerd = scope.use(
      await startContainerd(join(dir, "containerd"), join(volatile, "containerd"), enter),
    );
    const socket = join(dir, "docker.sock");
    const places = [
      ...[
        "--data-root",
        join(dir, "data"),
        "--exec-root",
        join(volatile, "exec"),
        "--pidfile",
        join(dir, "pid"),
      ],
      ...["--host", `unix://${socket}`, "--containerd", containerd.socket],
    ];
    // It shall not touch the machine's network.
    const confined = ["--bridge=none", "--iptables=false", "--exec-opt", "native.cgroupdriver=cgroupfs"];
    const chosen = runtime ? ["--add-runtime", `chosen=${runtime}`, "--default-runtime", "chosen"] : [];
    const docker = ["docker", "--host", `unix://${socket}`];
    const answers = async () => (await command([...docker, "version"])).code === 0;
    const daemon = await startDaemon(
      [...enter, "dockerd", ...places, ...confined, ...chosen, ...flags],
      dir,
      answers,
    );
    scope.defer(() => daemon.stop());
    const call = (...args: string[]) => must([...docker, ...args], { timeoutMs: 300_000 });
    const archive = join(dir, "busybox.tar");
    const target = `docker-archive:${archive}:busybox:latest`;
    await must(["skopeo", "--insecure-policy", "copy", "--quiet", `oci:${layout}:latest`, target]);
    await call("load", "--quiet", "--input", archive);
    return {
      name: "docker",
      cli: docker,
      image,
      restart: (which) => (which === "dockerd" ? daemon : containerd).restart(),
      env: {},
      monitor: /containerd-shim/,
      daemon: /(^|\/)(dockerd|containerd)\0/,
      ...dockerLike(docker, image),
      runTrue: () => [...docker, "run", "--rm", "--network", "none", image, "true"],
      async startIdle(name) {
        await call("run", "--detach", "--network", "none", "--name", name, image, "sleep", "1000");
      },
      async removeIdle(name) {
        await call("rm", "--force", name);
      },
      async pull(reference) {
        await call("pull", "--quiet", reference);
      },
      async forget(reference) {
        await call("rmi", "--force", reference);
      },
    };
  });
}
