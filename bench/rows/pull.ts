/** Pull and unpack a large image from a registry on loopback, each engine with a cold store. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { bigLayout } from "../../test/lib/fixtures.ts";
import { startRegistry } from "../../test/lib/registry.ts";
import { inLayout, inRegistry, skopeoCopy } from "../../test/lib/skopeo.ts";
import type { Series } from "../measure.ts";
import { seriesTable, type Table } from "../report.ts";
import type { Setting } from "../setting.ts";

export async function pullRow(setting: Setting): Promise<Table> {
  const { sizeBytes, files, layers, pulls } = setting.options;
  const layout = await bigLayout({ sizeBytes, files, layers });
  const dir = join(setting.dir, "registry");
  mkdirSync(dir, { recursive: true });
  await using registry = await startRegistry(dir);
  await skopeoCopy(inLayout(layout, "latest"), inRegistry(registry, "big:latest"));
  const reference = `${registry.host}/big:latest`;
  const series: { name: string; ms: number[]; failure: string | undefined }[] = [];
  for (const engine of await setting.engines()) {
    const one = { name: engine.name, ms: [] as number[], failure: undefined as string | undefined };
    series.push(one);
    for (let round = 0; round < pulls && one.failure === undefined; round++) {
      try {
        const started = performance.now();
        await engine.pull(reference);
        one.ms.push(performance.now() - started);
        await engine.forget(reference);
      } catch (error) {
        one.failure = error instanceof Error ? error.message : String(error);
      }
    }
  }
  const size = `${(sizeBytes / 1e9).toFixed(1)} GB, about ${files} files, ${layers} gzip layers`;
  const about = `${size}, from docker-registry on loopback, cold store, warm page cache; budget: <= 0.5 x podman`;
  return seriesTable("Pull and unpack", about, podmanFirst(series), "s");
}

/** The budget is a ratio to podman, so it stands first. */
function podmanFirst(series: readonly Series[]): Series[] {
  return [...series].sort((a, b) => Number(b.name === "podman") - Number(a.name === "podman"));
}
