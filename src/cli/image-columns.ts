/** The rows and columns of `images`, as docker computes and heads them. Pure. */
import type { Image } from "../images/image.ts";
import type { Column } from "./format/table.ts";
import { ago, createdAt, humanSize } from "./format/units.ts";

/** One name of an image; an image without names has one row without. */
export interface ImageRow {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly image: Image;
}

const none = "<none>";

function splitTag(name: string): [repository: string, tag: string] {
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? [name.slice(0, colon), name.slice(colon + 1)] : [name, none];
}

export function imageRows(images: readonly Image[]): readonly ImageRow[] {
  return images.flatMap((image): ImageRow[] => {
    const digestOf = (repository: string) =>
      image.repoDigests.find((entry) => entry.startsWith(`${repository}@`))?.slice(repository.length + 1) ??
      none;
    if (image.repoTags.length > 0)
      return image.repoTags.map((name) => {
        const [repository, tag] = splitTag(name);
        return { repository, tag, digest: digestOf(repository), image };
      });
    const repository = image.repoDigests[0]?.split("@")[0];
    return [
      { repository: repository ?? none, tag: none, digest: repository ? digestOf(repository) : none, image },
    ];
  });
}

export function imageColumns({
  truncate,
  now,
}: {
  truncate: boolean;
  now: Date;
}): readonly Column<ImageRow>[] {
  const created = ({ image }: ImageRow) => image.imageConfig.created ?? "";
  const id = ({ image }: ImageRow) => (truncate ? image.id.replace("sha256:", "").slice(0, 12) : image.id);
  return [
    { name: "Repository", heading: "REPOSITORY", value: ({ repository }) => repository },
    { name: "Tag", heading: "TAG", value: ({ tag }) => tag },
    { name: "Digest", heading: "DIGEST", value: ({ digest }) => digest },
    { name: "ID", heading: "IMAGE ID", value: id },
    { name: "CreatedSince", heading: "CREATED", value: (row) => ago(created(row), now) },
    {
      name: "CreatedAt",
      heading: "CREATED AT",
      value: (row) => (created(row) === "" ? "N/A" : createdAt(created(row))),
    },
    { name: "Size", heading: "SIZE", value: ({ image }) => humanSize(image.contentSizeBytes) },
    {
      name: "Platform",
      heading: "PLATFORM",
      value: ({ image }) => `${image.platform.os}/${image.platform.architecture}`,
    },
  ];
}
