/** An image in the form that docker's inspect has. Pure. */
import type { Image } from "../images/image.ts";
import { asMap } from "./format/template.ts";

export function inspectImageView(image: Image) {
  const { imageConfig, platform } = image;
  const execution = imageConfig.config ?? {};
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Comment: imageConfig.history?.at(-1)?.comment ?? "",
    Created: imageConfig.created ?? "",
    Author: imageConfig.author ?? "",
    Architecture: platform.architecture,
    Variant: platform.variant ?? "",
    Os: platform.os,
    Size: image.contentSizeBytes,
    RootFS: { Type: "layers", Layers: image.diffIds },
    Metadata: { LastTagTime: image.updated },
    Descriptor: {
      mediaType: image.manifestDescriptor.mediaType,
      digest: image.manifestDescriptor.digest,
      size: image.manifestDescriptor.size,
    },
    Config: {
      User: execution.User ?? "",
      ExposedPorts: asMap(execution.ExposedPorts ?? {}),
      Env: execution.Env ?? [],
      Cmd: execution.Cmd ?? null,
      Entrypoint: execution.Entrypoint ?? null,
      Volumes: asMap(execution.Volumes ?? {}),
      WorkingDir: execution.WorkingDir ?? "",
      Labels: asMap(execution.Labels ?? {}),
      StopSignal: execution.StopSignal ?? "",
    },
  };
}
