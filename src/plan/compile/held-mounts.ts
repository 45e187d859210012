/**
 * A tmpfs that containers share. Each of their shims holds a mount namespace that has nothing else, so it lives as long
 * as one of them, is nowhere on the host, and no container can put another one in its place. What a container sees is a
 * copy of that mount, with rights and ids of its own.
 */

import { donorRegister, tmpfsType } from "./donors.ts";
import type { Draft } from "./draft.ts";
import type { PlannedMount } from "./mount-entries.ts";
import type { HeldSource } from "./request.ts";

const heldRegister = (number: number) => `held ${number}`;

/** Opens the register of a mount. `options`: those of the file system, if nobody has it yet. */
export function openHeld(
  draft: Draft,
  planned: PlannedMount,
  { held, below }: HeldSource,
  options: readonly string[],
): void {
  const { phrase, register: fd } = planned;
  const where = `${planned.where}/source`;
  const namespace = heldRegister(held.number);
  if (draft.once(namespace)) {
    if (held.from) {
      const { pid, number } = held.from;
      const process = donorRegister(draft, held.from, where);
      draft.host.push({ op: "take-held", where, phrase, process, pid, number, held: namespace });
    } else {
      const mount = `new ${fd}`;
      draft.host.push(
        { op: "make-mount", where, phrase, type: "tmpfs", options, attributes: 0, fd: mount },
        { op: "hold-mount", where, phrase, mount, held: namespace },
      );
    }
  }
  const whole = below === undefined ? fd : `whole of ${fd}`;
  draft.host.push({ op: "take-tree", where, phrase, namespace, path: "/", type: tmpfsType, fd: whole });
  if (below === undefined) return;
  draft.host.push(
    { op: "clone-below", where, phrase, dir: whole, path: "", below, recursive: 0, fd },
    { op: "close", where, fd: whole },
  );
}

/** The shim keeps what was opened, and no process of the container has it: after the clone, if there is one. */
export function keepHeld(draft: Draft): void {
  const opened = draft.host.flatMap((step) =>
    step.op === "hold-mount" || step.op === "take-held" ? [step.held] : [],
  );
  const cloned = draft.host.some(({ op }) => op === "clone");
  const { mode } = draft.request;
  const sources = mode.kind === "engine" ? [...(mode.sources?.values() ?? [])] : [];
  const numbers = new Set(sources.flatMap(({ held }) => (held ? [held.number] : [])));
  for (const number of numbers) {
    const held = heldRegister(number);
    if (!opened.includes(held)) continue;
    draft.host.push({ op: "keep-held", where: "", held, number });
    if (cloned) draft.child.push({ op: "close", where: "", fd: held });
  }
}
