/** The keys that let go of a container, by docker's rules: `ctrl-p,ctrl-q` unless told. Pure. */
import { GantryError } from "../base/error.ts";

const defaultKeys: readonly number[] = [16, 17];
/** `ctrl-` and one of these is the byte with its number. */
const controls = "@abcdefghijklmnopqrstuvwxyz[\\]^_";

function keyCode(key: string): number | undefined {
  if (Buffer.byteLength(key) === 1) return key.charCodeAt(0);
  if (key === "DEL") return 127;
  const code = key.startsWith("ctrl-") && key.length === 6 ? controls.indexOf(key[5]!) : -1;
  return code < 0 ? undefined : code;
}

/** "ctrl-a,x" -> bytes; nothing and "" are the default. */
export function parseDetachKeys(text: string | undefined): readonly number[] {
  if (!text) return defaultKeys;
  return text.split(",").map((key) => {
    const code = keyCode(key);
    if (code !== undefined) return code;
    throw new GantryError("invalid-argument", `Invalid detach keys (${text}) provided`);
  });
}

/** Looks for the keys in what is typed, in whatever pieces that comes. */
export class DetachScanner {
  readonly #keys: readonly number[];
  /** How many of the keys came last: they are held back until it is clear what they are. */
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What is for the container, and whether the keys were typed: what follows them is for nobody. */
  take(typed: Uint8Array): { readonly bytes: Uint8Array; readonly detached: boolean } {
    const keys = this.#keys;
    const out: number[] = [];
    for (const byte of typed) {
      if (byte === keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === keys.length) return { bytes: Uint8Array.from(out), detached: true };
        continue;
      }
      this.#giveBack(byte, out);
    }
    return { bytes: Uint8Array.from(out), detached: false };
  }

  /** The held keys and `byte` are no whole sequence, but their end may be the beginning of one. */
  #giveBack(byte: number, out: number[]): void {
    const held = [...this.#keys.slice(0, this.#matched), byte];
    const starts = (length: number) =>
      held.slice(held.length - length).every((value, index) => value === this.#keys[index]);
    let keep = Math.min(this.#matched, held.length);
    while (keep > 0 && !starts(keep)) keep--;
    out.push(...held.slice(0, held.length - keep));
    this.#matched = keep;
  }
}
