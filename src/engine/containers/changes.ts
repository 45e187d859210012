/** What a container has changed in its file system since it was made. */
import { join, parentOf, rootPath } from "../../snapshots/layer-path.ts";
import { hasOverlayMark, isOpaque, isWhiteout } from "../../snapshots/overlay-marks.ts";
import type { TreeEntry } from "../../snapshots/tree-entry.ts";
import { TreeSession } from "../../snapshots/tree-session.ts";
import { type ByteString, textOfByteString } from "../../wire/tar-format.ts";
import type { Internals } from "../internals.ts";
import { sessionName } from "./archive.ts";
import { type ContainerView, openContainerView } from "./container-view.ts";
import { type LayerRoots, openLayerRoots, placeholders } from "./upper-layer.ts";

export type ChangeKind = "added" | "changed" | "deleted";

export interface FileChange {
  readonly path: string;
  readonly kind: ChangeKind;
}

/** In the order of paths. */
export async function containerChanges(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly FileChange[]> {
  using view = await openContainerView(internals, id, options);
  await using session = new TreeSession(internals.executor(), sessionName(view), options);
  const roots = await openLayerRoots(internals, id, session, view, options);
  const comparison = new Comparison(session, roots, view, await placeholders(internals, id, session, roots));
  await comparison.directory(rootPath, { upper: roots.upper, isBelow: true, isOpaque: false });
  return comparison.changes
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, kind }) => ({ path: `/${textOfByteString(path)}`, kind }));
}

interface Side {
  /** Where its entries are read. */
  readonly upper: number;
  /** Whether the layers below have this directory. */
  readonly isBelow: boolean;
  /** Whether nothing of it shines through. */
  readonly isOpaque: boolean;
}

class Comparison {
  readonly changes: { readonly path: ByteString; readonly kind: ChangeKind }[] = [];
  readonly #session: TreeSession;
  readonly #roots: LayerRoots;
  readonly #view: Pick<ContainerView, "inside" | "stored">;
  readonly #placeholders: ReadonlySet<ByteString>;
  /** Directories whose time says nothing: the runtime has made something in them. */
  readonly #touched: ReadonlySet<ByteString>;

  constructor(
    session: TreeSession,
    roots: LayerRoots,
    view: Pick<ContainerView, "inside" | "stored">,
    ignored: ReadonlySet<ByteString>,
  ) {
    this.#session = session;
    this.#roots = roots;
    this.#view = view;
    this.#placeholders = ignored;
    this.#touched = new Set([...ignored].map(parentOf));
  }

  /** Compares what is in a directory; whether anything was found. */
  async directory(path: ByteString, side: Side): Promise<boolean> {
    const before = this.changes.length;
    const seen = new Set<ByteString>();
    for (const entry of (await this.#session.list(side.upper, path)) ?? []) {
      const at = join(path, entry.name);
      seen.add(entry.name);
      if (this.#placeholders.has(at)) continue;
      const below = side.isBelow ? await this.#session.stat(this.#roots.lower, at) : undefined;
      await this.#entry(at, entry, below, side);
    }
    if (side.isBelow && side.isOpaque)
      for (const { name } of (await this.#session.list(this.#roots.lower, path)) ?? [])
        if (!seen.has(name)) this.#tell(join(path, name), "deleted");
    return this.changes.length > before;
  }

  #tell(path: ByteString, kind: ChangeKind): void {
    this.changes.push({ path, kind });
  }

  async #entry(path: ByteString, entry: TreeEntry, below: TreeEntry | undefined, side: Side): Promise<void> {
    if (isWhiteout(entry)) {
      if (below) this.#tell(path, "deleted");
      return;
    }
    if (entry.type !== "directory" || below?.type !== "directory")
      this.#tell(path, below ? "changed" : "added");
    if (entry.type !== "directory") return;
    const moved = hasOverlayMark(entry, "redirect");
    const changed = await this.directory(path, {
      upper: moved ? this.#roots.merged : side.upper,
      isBelow: below?.type === "directory",
      isOpaque: side.isOpaque || moved || isOpaque(entry),
    });
    if (below?.type !== "directory") return;
    const touched = !this.#touched.has(path) && !sameTime(entry, below);
    if (changed || touched || !this.#sameOwner(path, entry, below, side)) this.#tell(path, "changed");
  }

  /** As the container sees them: one that runs shows the ids of the host, where the layers have its own. */
  #sameOwner(path: ByteString, entry: TreeEntry, below: TreeEntry, { upper }: Side): boolean {
    const { inside, stored } = this.#view;
    const ids = upper === this.#roots.merged ? inside(path) : stored;
    return (
      entry.mode === below.mode &&
      ids.uid(entry.uid) === stored.uid(below.uid) &&
      ids.gid(entry.gid) === stored.gid(below.gid)
    );
  }
}

function sameTime(a: TreeEntry, b: TreeEntry): boolean {
  return a.mtimeSeconds === b.mtimeSeconds && a.mtimeNanoseconds === b.mtimeNanoseconds;
}
