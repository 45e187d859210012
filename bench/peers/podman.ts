/** podman with stores of its own: no daemon, a conmon for each container. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../test/lib/command.ts";
import {
  dockerLike,
  hugetlbAsV1,
  owning,
  type Peer,
  type PeerOptions,
  removeGroups,
  unmountBelow,
} from "./peer.ts";

const image = "localhost/busybox:latest";

/** The files that tell podman and buildah of stores of their own, as their environment names them. */
export function containersFiles(dir: string, volatile: string): Record<string, string> {
  const conf = join(dir, "containers.conf");
  // The hard limits of a confined machine may be below podman's defaults, which then fail to be set.
  const ulimits = 'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]';
  const engine = `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n`;
  writeFileSync(conf, `[containers]\n${ulimits}\n${engine}`);
  const stores = `runroot = "${join(volatile, "run")}"\ngraphroot = "${join(dir, "root")}"\n`;
  writeFileSync(join(dir, "storage.conf"), `[storage]\ndriver = "overlay"\n${stores}`);
  writeFileSync(join(dir, "registries.conf"), "");
  return {
    CONTAINERS_CONF: conf,
    CONTAINERS_STORAGE_CONF: join(dir, "storage.conf"),
    CONTAINERS_REGISTRIES_CONF: join(dir, "registries.conf"),
  };
}

export function openPodman(dir: string, layout: string, options: PeerOptions = {}): Promise<Peer> {
  const { volatile = join(dir, "volatile"), enter, runtime } = options;
  return owning(async (scope) => {
    for (const place of [dir, volatile]) mkdirSync(place, { recursive: true });
    if (!enter) scope.use(await hugetlbAsV1());
    const env = containersFiles(dir, volatile);
    const places = [
      "--root",
      join(dir, "root"),
      "--runroot",
      join(volatile, "run"),
      "--tmpdir",
      join(volatile, "tmp"),
    ];
    const podman = [...(enter ?? []), "podman", ...places, ...(runtime ? ["--runtime", runtime] : [])];
    const call = (...args: string[]) => must([...podman, ...args], { env, timeoutMs: 300_000 });
    scope.defer(async () => {
      removeGroups("libpod_parent");
      removeGroups("machine.slice");
    });
    for (const place of [dir, volatile]) scope.defer(() => unmountBelow(place));
    scope.defer(() => call("rm", "--force", "--all", "--time", "0"));
    await call("pull", "--quiet", `oci:${layout}:latest`);
    const id = (await call("images", "--quiet", "--no-trunc")).trim().split("\n")[0]!;
    await call("tag", id, image);
    return {
      name: "podman",
      cli: podman,
      image,
      env,
      monitor: /conmon/,
      ...dockerLike(podman, image),
      runTrue: () => [...podman, "run", "--rm", "--network", "none", image, "true"],
      async startIdle(name) {
        await call("run", "--detach", "--network", "none", "--name", name, image, "sleep", "1000");
      },
      async removeIdle(name) {
        await call("rm", "--force", "--time", "0", name);
      },
      async pull(reference) {
        await call("pull", "--quiet", "--tls-verify=false", reference);
      },
      async forget(reference) {
        await call("rmi", "--force", reference);
      },
    };
  });
}
