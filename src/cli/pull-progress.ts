/**
 * The progress of a pull: bars that are redrawn in place on a terminal, one line for each step of each layer
 * elsewhere. The words are docker's.
 */
import type { OnPullEvent, PullEvent } from "../images/progress.ts";
import { sanitize } from "./format/sanitize.ts";
import { humanSize } from "./format/units.ts";

export interface ProgressTarget {
  readonly terminal: boolean;
  readonly columns: number;
  write(text: string): void;
}

/** A bar is not drawn more often than this. */
const redrawMs = 80;

const barSize = 50;

/** `[====>     ]  1.2MB/4.3MB`. */
export function bar(current: number, total: number): string {
  if (total <= 0) return humanSize(current);
  const done = Math.min(barSize, Math.round((current / total) * barSize));
  const line = `${"=".repeat(Math.max(0, done - 1))}${done > 0 ? ">" : ""}`.padEnd(barSize);
  return `[${line}]  ${humanSize(current)}/${humanSize(total)}`;
}

type LayerEvent = PullEvent & { kind: "layer" };

function layerId(event: LayerEvent): string {
  return event.layer.digest.replace(/^[^:]*:/, "").slice(0, 12);
}

function layerText(event: LayerEvent): string {
  const moving = event.phase === "Downloading" || event.phase === "Extracting";
  if (moving && event.current !== undefined)
    return `${event.phase}  ${bar(event.current, event.total ?? event.layer.size)}`;
  return event.reason === undefined ? event.phase : `${event.phase}: ${event.reason}`;
}

/** As docker prints it: official images lie below `library/`. */
function repositoryPath(familiar: string): string {
  return familiar.includes("/") ? familiar : `library/${familiar}`;
}

/** Shows events as they come; `finish` draws what is still to be drawn. */
export function pullProgress(target: ProgressTarget): { onEvent: OnPullEvent; finish(): void } {
  const layers = new Map<number, LayerEvent>();
  let drawnLines = 0;
  let drawnAt = 0;
  let dirty = false;

  const draw = () => {
    if (!dirty) return;
    const lines = [...layers.values()].map((event) =>
      `${layerId(event)}: ${layerText(event)}`.slice(0, target.columns - 1),
    );
    // up to the first line of the block, then each line anew
    const up = drawnLines > 0 ? `\x1b[${drawnLines}A` : "";
    target.write(up + lines.map((line) => `\r\x1b[K${line}\n`).join(""));
    drawnLines = lines.length;
    drawnAt = Date.now();
    dirty = false;
  };

  const onLayer = (event: LayerEvent) => {
    const before = layers.get(event.index);
    layers.set(event.index, event);
    if (target.terminal) {
      dirty = true;
      if (before?.phase !== event.phase || Date.now() - drawnAt >= redrawMs) draw();
    } else if (before?.phase !== event.phase || event.phase === "Retrying") {
      const text = event.reason === undefined ? event.phase : `${event.phase}: ${event.reason}`;
      target.write(`${layerId(event)}: ${text}\n`);
    }
  };

  const onEvent: OnPullEvent = (event) => {
    switch (event.kind) {
      case "resolving":
        // `latest: Pulling from busybox`: what comes behind the repository is the tag or the digest
        target.write(
          `${event.reference.slice(event.repository.length + 1)}: Pulling from ${repositoryPath(event.repository)}\n`,
        );
        return;
      case "warning":
        draw();
        drawnLines = 0;
        target.write(`WARNING: ${sanitize(event.message)}\n`);
        return;
      case "layer":
        onLayer(event);
        return;
      case "digest":
        draw();
        target.write(`Digest: ${event.digest}\n`);
        return;
      case "status":
        draw();
        target.write(
          `Status: ${event.changed ? "Downloaded newer image" : "Image is up to date"} for ${event.reference}\n`,
        );
        return;
      default:
        event satisfies never;
    }
  };
  return { onEvent, finish: draw };
}
