/** The file system of a container as one tar, without what is mounted in it. */
import { packTree } from "../../snapshots/pack.ts";
import { TreeSession } from "../../snapshots/tree-session.ts";
import { byteStringOf } from "../../wire/tar-format.ts";
import type { Internals } from "../internals.ts";
import { sessionName } from "./archive.ts";
import { openContainerView } from "./container-view.ts";
import { containerAttributes } from "./event-attributes.ts";

const root = byteStringOf("");

/** Made while it is read; a container that does not run is not started meanwhile. */
export async function* exportContainer(
  internals: Internals,
  id: string,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Uint8Array> {
  using view = await openContainerView(internals, id, options);
  await using session = new TreeSession(internals.executor(), sessionName(view), options);
  const register = await session.open(view.bare());
  internals.events.append("container", "export", id, containerAttributes(view.record));
  yield* packTree(session, register, { path: root, name: root, ids: view.inside });
}
