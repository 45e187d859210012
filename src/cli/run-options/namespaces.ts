/** Modes of namespaces as docker's options write them. Pure. */
import type { ContainerReference } from "../../bundle/container-options.ts";

/** One of the words, or `container:NAME`. */
export function namespaceMode<const W extends string>(...words: readonly W[]) {
  return (given: string): W | ContainerReference => {
    const word = words.find((known) => known === given);
    if (word !== undefined) return word;
    if (/^container:.+$/s.test(given)) return given as ContainerReference;
    const names = [...words, "container:NAME"];
    throw new Error(`must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);
  };
}

export function parseNetwork(given: string): "none" | "host" | ContainerReference {
  if (given === "none" || given === "host") return given;
  if (/^container:.+$/s.test(given)) return given as ContainerReference;
  throw new Error("only none, host and container:NAME are available yet");
}
