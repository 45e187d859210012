/** A process of its own that pulls: `pull-child.ts STORE REFERENCE`. Prints the image ID. */
import { pull, storesAt } from "./stores.ts";

const [, , root, name] = process.argv;
if (root === undefined || name === undefined) throw new Error("usage: pull-child.ts STORE REFERENCE");
console.log((await pull(storesAt(root), name)).id);
