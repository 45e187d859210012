/**
 * The mounts of a container that is being made: what was asked for, what it takes from other containers, and the
 * places for which its image asks for a volume. Volumes are made here, and get what the image has in their place.
 */
import { GantryError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault.ts";
import { randomHex } from "../../base/random.ts";
import type {
  ContainerOptions,
  ImageMountOption,
  MountOption,
  VolumeMountOption,
} from "../../bundle/container-options.ts";
import type { ImageContent } from "../../images/image.ts";
import { runPlan } from "../../launch/launch.ts";
import { mountAttr } from "../../linux/mount-options.ts";
import type { SnapshotMounts } from "../../snapshots/snapshotter.ts";
import { imageForContainer, type WantedImage } from "../images/image-for-container.ts";
import type { Internals } from "../internals.ts";
import { writeReferences } from "../volumes/references.ts";
import { anonymousLabel, checkVolumeName, volumeDevice } from "../volumes/volume-record.ts";
import { volumeStore } from "../volumes/volume-store.ts";
import { lockVolume, newVolume } from "../volumes/volumes.ts";
import { cleanTarget } from "./mount-sources.ts";

interface Cancellable {
  readonly signal?: AbortSignal;
}

type Request = Pick<ContainerOptions, "mounts" | "volumesFrom"> & Pick<WantedImage, "pull" | "platform">;

interface PrepareOptions extends Cancellable {
  /** Only say how it would be: no volume is made. */
  readonly dry?: boolean | undefined;
}

/** All mounts, with volumes made and images unpacked. The lock of the container is held. */
export async function prepareMounts(
  internals: Internals,
  id: string,
  image: ImageContent,
  request: Request,
  { dry, ...cancellable }: PrepareOptions,
): Promise<readonly MountOption[]> {
  const asked = [...(request.mounts ?? [])].map(named);
  const taken = new Set(asked.map(({ target }) => cleanTarget(target)));
  const inherited = inheritedMounts(internals, request.volumesFrom ?? []).filter(
    ({ target }) => !taken.has(cleanTarget(target)),
  );
  for (const { target } of inherited) taken.add(cleanTarget(target));
  const fromImage = Object.keys(image.imageConfig.config?.Volumes ?? {})
    .map(cleanTarget)
    .filter((target) => !taken.has(target))
    .map((target): MountOption => named({ kind: "volume", target }));
  const all = [...inherited, ...asked, ...fromImage].map((mount, index) =>
    mount.kind === "image" ? { ...mount, view: `${id}.${index}` } : mount,
  );
  writeReferences(internals.containers, id, {
    volumes: all.flatMap((mount) =>
      mount.kind === "volume" ? [{ name: mount.source!, anonymous: mount.anonymous ?? false }] : [],
    ),
    views: all.flatMap((mount) => (mount.kind === "image" ? [mount.view!] : [])),
  });
  faultPoint("create-references");
  const resolved: MountOption[] = [];
  for (const mount of all) {
    if (mount.kind === "image") await showImage(internals, mount, request, cancellable);
    resolved.push(
      mount.kind === "volume" ? await makeVolume(internals, mount, { dry, ...cancellable }) : mount,
    );
  }
  faultPoint("create-volumes");
  return resolved;
}

/** A volume without a name gets one that nobody else has. */
function named(mount: MountOption): MountOption {
  if (mount.kind !== "volume") return mount;
  if (mount.source) {
    checkVolumeName(mount.source);
    return mount;
  }
  if (mount.readOnly)
    throw new GantryError(
      "invalid-argument",
      'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes',
    );
  return { ...mount, source: randomHex(32), anonymous: true };
}

/** Volumes and bind mounts of other containers; a later one takes the place of an earlier. */
function inheritedMounts(internals: Internals, specs: readonly string[]): readonly MountOption[] {
  const mounts = new Map<string, MountOption>();
  for (const spec of specs) {
    const { name, readOnly } = parseVolumesFrom(spec);
    const { options } = internals.containers.find(name);
    for (const mount of options.mounts ?? []) {
      if (mount.kind !== "volume" && mount.kind !== "bind") continue;
      // a volume is there already, with its content
      const copy = mount.kind === "volume" ? { ...mount, noCopy: true } : { ...mount, createSource: false };
      mounts.set(cleanTarget(mount.target), readOnly ? { ...copy, readOnly: true } : copy);
    }
  }
  return [...mounts.values()];
}

/** `NAME[:MODE]`. */
function parseVolumesFrom(spec: string): { name: string; readOnly: boolean } {
  const colon = spec.indexOf(":");
  const name = colon < 0 ? spec : spec.slice(0, colon);
  const mode = colon < 0 ? "rw" : spec.slice(colon + 1);
  if (name === "")
    throw new GantryError("invalid-argument", "invalid volumes-from specification: it names no container");
  const modes = mode.split(",");
  if (
    mode === "" ||
    !modes.every((one) => ["ro", "rw", "z", "Z"].includes(one)) ||
    new Set(modes).size !== modes.length
  )
    throw new GantryError("invalid-argument", `invalid mode: ${mode}`);
  return { name, readOnly: modes.includes("ro") };
}

async function makeVolume(
  internals: Internals,
  mount: VolumeMountOption,
  { dry, ...cancellable }: PrepareOptions,
): Promise<VolumeMountOption> {
  const { events } = internals;
  const volumes = volumeStore(internals);
  const name = mount.source!;
  const labels = mount.anonymous ? { [anonymousLabel]: "", ...mount.labels } : mount.labels;
  const record = newVolume({ name, driver: mount.driver, options: mount.driverOptions, labels });
  // with the lock, so that who has just found it unused does not take it away
  using _ = await lockVolume(internals, name, cancellable);
  const existing = volumes.read(name);
  if (!existing && !dry && volumes.create(record))
    events.append("volume", "create", name, { driver: "local" });
  const mounted = volumeDevice((existing ?? record).options);
  return { ...mount, path: volumes.dataPath(name), ...(mounted ? { mounted } : {}) };
}

/** Gives the image's content to volumes that have none yet. `mounts` is the container's root. */
export async function populateVolumes(
  internals: Internals,
  options: readonly MountOption[],
  mounts: SnapshotMounts,
  { signal, autoRemove = false }: Cancellable & { readonly autoRemove?: boolean | undefined },
): Promise<void> {
  const cancellable = signal ? { signal } : {};
  for (const mount of options) {
    if (mount.kind !== "volume" || mount.noCopy || mount.subpath || mount.mounted) continue;
    const name = mount.source!;
    if (!volumeStore(internals).awaitsContent(name)) continue;
    using _ = await lockVolume(internals, name, cancellable);
    // one that goes with its container is found by nobody after a power cut
    const durable = !(mount.anonymous && autoRemove);
    await populate(internals, { name, target: mount.target, durable }, mounts, cancellable);
  }
}

async function populate(
  internals: Internals,
  { name, target, durable }: { readonly name: string; readonly target: string; readonly durable: boolean },
  { lower }: SnapshotMounts,
  cancellable: Cancellable,
): Promise<void> {
  const phrase = "failed to copy the image's content into the volume";
  const where = "";
  const fd = "root";
  await runPlan(
    {
      host: [
        // overlayfs takes no layer alone
        lower.length === 1
          ? { op: "clone-tree", where, phrase, path: lower[0]!, recursive: 0, fd }
          : {
              op: "make-mount",
              where,
              phrase,
              type: "overlay",
              options: [...lower.map((layer) => `lowerdir+=${layer}`), "source=overlay"],
              attributes: mountAttr.readonly,
              fd,
            },
        {
          op: "populate-volume",
          where,
          phrase,
          root: fd,
          path: target,
          volume: volumeStore(internals).directory(name),
          durable: durable ? 1 : 0,
        },
      ],
      child: [],
      cleanup: [],
    },
    { executor: internals.executor(), ...cancellable },
  );
}

/** Unpacks an image whose root a container shows; the snapshot keeps its layers from going. */
async function showImage(
  internals: Internals,
  mount: ImageMountOption,
  { pull, platform }: Request,
  cancellable: Cancellable,
): Promise<void> {
  const image = await imageForContainer(internals, { image: mount.source, pull, platform }, cancellable);
  const parent = image.chainIds.at(-1);
  await (await internals.snapshotter()).view(mount.view!, { ...(parent ? { parent } : {}), ...cancellable });
}
