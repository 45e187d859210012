/** podman with stores of its own: no daemon, a conmon for each container. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../test/lib/command.ts";
import { hugetlbAsV1, owning, type Peer, removeGroups, unmountBelow } from "./peer.ts";

export function openPodman(dir: string, layout: string, volatile = join(dir, "volatile")): Promise<Peer> {
  return owning(async (scope) => {
    for (const place of [dir, volatile]) mkdirSync(place, { recursive: true });
    scope.use(await hugetlbAsV1());
    const conf = join(dir, "containers.conf");
    // The hard limits of a confined machine may be below podman's defaults, which then fail to be set.
    const ulimits = 'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]';
    const engine = `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n`;
    writeFileSync(conf, `[containers]\n${ulimits}\n${engine}`);
    const stores = `runroot = "${join(volatile, "run")}"\ngraphroot = "${join(dir, "root")}"\n`;
    writeFileSync(join(dir, "storage.conf"), `[storage]\ndriver = "overlay"\n${stores}`);
    writeFileSync(join(dir, "registries.conf"), "");
    const env = {
      CONTAINERS_CONF: conf,
      CONTAINERS_STORAGE_CONF: join(dir, "storage.conf"),
      CONTAINERS_REGISTRIES_CONF: join(dir, "registries.conf"),
    };
    const places = [
      "--root",
      join(dir, "root"),
      "--runroot",
      join(volatile, "run"),
      "--tmpdir",
      join(volatile, "tmp"),
    ];
    const podman = ["podman", ...places];
    const call = (...args: string[]) => must([...podman, ...args], { env, timeoutMs: 300_000 });
    scope.defer(async () => {
      removeGroups("libpod_parent");
      removeGroups("machine.slice");
    });
    for (const place of [dir, volatile]) scope.defer(() => unmountBelow(place));
    scope.defer(() => call("rm", "--force", "--all", "--time", "0"));
    await call("pull", "--quiet", `oci:${layout}:latest`);
    const id = (await call("images", "--quiet", "--no-trunc")).trim().split("\n")[0]!;
    await call("tag", id, "localhost/busybox:latest");
    return {
      name: "podman",
      env,
      monitor: /conmon/,
      runTrue: () => [...podman, "run", "--rm", "--network", "none", "localhost/busybox:latest", "true"],
      async startIdle(name) {
        await call(
          "run",
          "--detach",
          "--network",
          "none",
          "--name",
          name,
          "localhost/busybox:latest",
          "sleep",
          "1000",
        );
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
