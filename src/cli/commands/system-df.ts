/** `gantry system df`. */
import type { DiskUsage, UsageTotal, VolumeUsage } from "../../engine/system/disk-usage.ts";
import { defineCommand } from "../command.ts";
import { containerColumns } from "../container-columns.ts";
import { type Column, formatListing } from "../format/table.ts";
import { humanSize } from "../format/units.ts";
import { imageColumns, imageRows } from "../image-columns.ts";
import { flag, text, UsageError } from "../options.ts";

interface TotalRow extends UsageTotal {
  readonly type: string;
}

export const systemDf = defineCommand({
  name: "system df",
  usage: "[OPTIONS]",
  summary: "Show disk usage",
  options: {
    format: text("Format output: 'table', 'table TEMPLATE', 'json' or a Go TEMPLATE"),
    verbose: flag("Show detailed information on space usage", { short: "v" }),
  },
  minArguments: 0,
  maxArguments: 0,
  examples: [
    ["gantry system df", "What images, containers and volumes take, and what could be had back"],
    ["gantry system df -v", "Each image and each container"],
  ],
  async run(context, { values }) {
    const { verbose, format } = values;
    if (verbose && format !== undefined && format !== "json")
      throw new UsageError("the verbose and the format options conflict");
    const engine = await context.engine();
    const usage = await engine.diskUsage({ signal: context.signal });
    if (verbose && format === "json") context.out(`${JSON.stringify(verboseJson(usage))}\n`);
    else if (verbose) context.out(verboseText(usage));
    else
      context.out(
        formatListing(totalRows(usage), totalColumns, {
          format,
          standard: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
        }),
      );
    return 0;
  },
});

const none: UsageTotal = { total: 0, active: 0, sizeBytes: 0, reclaimableBytes: 0 };

function totalRows({ totals }: DiskUsage): readonly TotalRow[] {
  return [
    { type: "Images", ...totals.images },
    { type: "Containers", ...totals.containers },
    { type: "Local Volumes", ...totals.volumes },
    { type: "Build Cache", ...none },
  ];
}

/** `1.2MB (50%)`, as docker computes it. */
function reclaimable({ sizeBytes, reclaimableBytes }: UsageTotal): string {
  if (sizeBytes === 0) return humanSize(reclaimableBytes);
  return `${humanSize(reclaimableBytes)} (${Math.floor((reclaimableBytes * 100) / sizeBytes)}%)`;
}

const totalColumns: readonly Column<TotalRow>[] = [
  { name: "Type", heading: "TYPE", value: ({ type }) => type },
  { name: "TotalCount", heading: "TOTAL", value: ({ total }) => String(total) },
  { name: "Active", heading: "ACTIVE", value: ({ active }) => String(active) },
  { name: "Size", heading: "SIZE", value: ({ sizeBytes }) => humanSize(sizeBytes) },
  { name: "Reclaimable", heading: "RECLAIMABLE", value: reclaimable },
];

function imagePart({ images }: DiskUsage) {
  const usages = new Map(images.map((usage) => [usage.image, usage] as const));
  const rows = imageRows(images.map(({ image }) => image));
  const usageOf = (row: (typeof rows)[number]) => usages.get(row.image)!;
  const columns = [
    ...imageColumns({ truncate: true, now: new Date() }).filter(({ name }) => name !== "Size"),
    {
      name: "Size",
      heading: "SIZE",
      value: (row: (typeof rows)[number]) => humanSize(usageOf(row).sizeBytes),
    },
    {
      name: "SharedSize",
      heading: "SHARED SIZE",
      value: (row: (typeof rows)[number]) => humanSize(usageOf(row).sharedBytes),
    },
    {
      name: "UniqueSize",
      heading: "UNIQUE SIZE",
      value: (row: (typeof rows)[number]) => humanSize(usageOf(row).sizeBytes - usageOf(row).sharedBytes),
    },
    {
      name: "Containers",
      heading: "CONTAINERS",
      value: (row: (typeof rows)[number]) => String(usageOf(row).containers),
    },
  ];
  const fields = [
    "Repository",
    "Tag",
    "ID",
    "CreatedSince",
    "Size",
    "SharedSize",
    "UniqueSize",
    "Containers",
  ];
  return { rows, columns, standard: templateOf(fields) };
}

function containerPart({ containers }: DiskUsage) {
  const sizes = new Map(containers.map(({ container, sizeBytes }) => [container.id, sizeBytes] as const));
  const rows = containers.map(({ container }) => container);
  const columns = [
    ...containerColumns({ truncate: true, now: new Date() }),
    {
      name: "Size",
      heading: "SIZE",
      value: ({ id }: (typeof rows)[number]) => humanSize(sizes.get(id) ?? 0),
    },
  ];
  const fields = ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"];
  return { rows, columns, standard: templateOf(fields) };
}

const volumeColumns: readonly Column<VolumeUsage>[] = [
  { name: "Name", heading: "VOLUME NAME", value: ({ volume }) => volume.name },
  { name: "Links", heading: "LINKS", value: ({ volume }) => String(volume.usedBy.length) },
  { name: "Size", heading: "SIZE", value: ({ sizeBytes }) => humanSize(sizeBytes) },
];

function templateOf(fields: readonly string[]): string {
  return fields.map((field) => `{{.${field}}}`).join("\t");
}

function verboseText(usage: DiskUsage): string {
  const [images, containers] = [imagePart(usage), containerPart(usage)];
  return [
    `Images space usage:\n\n${formatListing(images.rows, images.columns, { standard: images.standard })}`,
    `Containers space usage:\n\n${formatListing(containers.rows, containers.columns, { standard: containers.standard })}`,
    `Local Volumes space usage:\n\n${formatListing(usage.volumes, volumeColumns, { standard: "{{.Name}}\t{{.Links}}\t{{.Size}}" })}`,
    "Build cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n",
  ].join("\n");
}

function verboseJson(usage: DiskUsage): object {
  return {
    Images: usage.images.map(({ image, sizeBytes, sharedBytes, containers }) => ({
      ID: image.id,
      RepoTags: image.repoTags,
      Size: sizeBytes,
      SharedSize: sharedBytes,
      UniqueSize: sizeBytes - sharedBytes,
      Containers: containers,
    })),
    Containers: usage.containers.map(({ container, sizeBytes, writtenBytes }) => ({
      ID: container.id,
      Names: container.name,
      Image: container.image,
      Status: container.status,
      Size: sizeBytes,
      SizeRw: writtenBytes,
    })),
    Volumes: usage.volumes.map(({ volume, sizeBytes }) => ({
      Name: volume.name,
      Links: volume.usedBy.length,
      Size: sizeBytes,
    })),
    BuildCache: [],
  };
}
