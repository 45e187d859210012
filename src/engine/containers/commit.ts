/** Makes an image of a container: what it has changed becomes a layer on that which it was made of. */
import { faultPoint } from "../../base/fault.ts";
import { mergeEnvironment } from "../../bundle/command.ts";
import { commitImage } from "../../images/commit.ts";
import { type Image, type ImageContent, openImageContent } from "../../images/image.ts";
import { packTree } from "../../snapshots/pack.ts";
import { TreeSession } from "../../snapshots/tree-session.ts";
import type { ImageExecution } from "../../spec/image-config.ts";
import { byteStringOf } from "../../wire/tar-format.ts";
import type { Internals } from "../internals.ts";
import { sessionName } from "./archive.ts";
import type { ContainerRecord } from "./container-record.ts";
import { openContainerView } from "./container-view.ts";
import { attributesNow } from "./event-attributes.ts";
import { holdContainer } from "./freeze.ts";
import { openLayerRoots, placeholders } from "./upper-layer.ts";

export interface CommitOptions {
  /** The image's name; without one it is untagged. */
  readonly name?: string;
  readonly author?: string;
  readonly message?: string;
  /** What containers of the image run, where it is to differ from this container. */
  readonly execution?: ImageExecution;
  /** Stop its processes in their tracks meanwhile; default true. */
  readonly pause?: boolean;
  readonly signal?: AbortSignal;
}

const root = byteStringOf("");

export async function commitContainer(
  internals: Internals,
  id: string,
  options: CommitOptions = {},
): Promise<Image> {
  const { name, author, message, execution = {}, pause = true, signal } = options;
  const cancellable = signal ? { signal } : {};
  const hold = pause ? await holdContainer(internals, id, cancellable) : undefined;
  try {
    faultPoint("commit-held");
    using view = await openContainerView(internals, id, cancellable);
    const { record } = view;
    const base = await openImageContent(internals, record.image.manifest, cancellable);
    await using session = new TreeSession(internals.executor(), sessionName(view), cancellable);
    const roots = await openLayerRoots(internals, id, session, view, cancellable);
    const omitted = await placeholders(internals, id, session, roots);
    const tar = packTree(session, roots.upper, {
      path: root,
      name: root,
      ids: (path, register) => (register === roots.merged ? view.inside(path) : view.stored),
      omit: (path) => omitted.has(path),
      layer: { merged: roots.merged },
    });
    const { content, images, leases, events } = internals;
    faultPoint("commit-opened");
    await using layers = await internals.openLayers();
    const image = await commitImage({ content, images, leases, layers }, base, tar, {
      ...(name === undefined ? {} : { name }),
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { message }),
      createdBy: record.args.join(" "),
      execution: merged(execution, ownExecution(record, base)),
      ...cancellable,
    });
    faultPoint("commit-stored");
    events.append("container", "commit", id, {
      ...attributesNow(internals, record),
      comment: message ?? "",
      imageID: image.id,
      imageRef: image.names[0] ?? "",
    });
    return image;
  } finally {
    await hold?.[Symbol.asyncDispose]();
  }
}

/** What the container itself runs, as defaults of an image. */
function ownExecution(record: ContainerRecord, base: ImageContent): ImageExecution {
  const { options, args, entrypointLength } = record;
  const below = base.imageConfig.config ?? {};
  const env = mergeEnvironment(below.Env ?? [], options.env ?? []);
  const { Cmd: _c, Entrypoint: _e, ...rest } = below;
  return {
    ...rest,
    ...(env.length > 0 ? { Env: env } : {}),
    ...(args.length > entrypointLength ? { Cmd: args.slice(entrypointLength) } : {}),
    ...(entrypointLength > 0 ? { Entrypoint: args.slice(0, entrypointLength) } : {}),
    ...(options.exposedPorts
      ? {
          ExposedPorts: {
            ...below.ExposedPorts,
            ...Object.fromEntries(options.exposedPorts.map((port) => [port, {}])),
          },
        }
      : {}),
    ...(options.user === undefined ? {} : { User: options.user }),
    ...(options.workingDirectory === undefined ? {} : { WorkingDir: options.workingDirectory }),
    ...(Object.keys(record.labels).length > 0 ? { Labels: record.labels } : {}),
  };
}

/** docker's merge: lists of names add up, an entrypoint of one's own takes the command of the other away. */
function merged(own: ImageExecution, other: ImageExecution): ImageExecution {
  const both = { ...other, ...own };
  const { Cmd: _, ...withoutCommand } = both;
  const keeps = own.Entrypoint === undefined || own.Entrypoint.length === 0 || own.Cmd !== undefined;
  return {
    ...(keeps ? both : withoutCommand),
    ...(own.Env || other.Env ? { Env: mergeEnvironment(other.Env ?? [], own.Env ?? []) } : {}),
    ...sum("Labels", own, other),
    ...sum("ExposedPorts", own, other),
    ...sum("Volumes", own, other),
  };
}

function sum(name: "Labels" | "ExposedPorts" | "Volumes", own: ImageExecution, other: ImageExecution) {
  return own[name] || other[name] ? { [name]: { ...other[name], ...own[name] } } : {};
}
