/**
 * A plan without names: of which bytes it is certain that they are a name of the call, and of no other that they
 * depend on one. The call is compiled a second time with strange names in place of its own, each as long as the one it
 * stands for; where the second plan holds a strange name, the next call's own goes. It is kept only if the first plan
 * comes out, byte by byte, when the call's own names are put back: so whatever the compiler makes of a name (cut it,
 * quote it, count it, look at it) either leaves it whole or keeps the plan from being kept.
 */
import { randomBelow } from "../base/random.ts";
import type { Mark, Place } from "./kept-launch.ts";

/** A stranger of the same form: digits for digits, letters for letters of the same case, hexadecimal for such. */
function strange(name: string): string {
  const hex = /^[0-9a-f-]+$/.test(name);
  return name.replace(/[0-9A-Za-z]/g, (character) => {
    const [first, count] = /\d/.test(character)
      ? ["0", 10]
      : character < "a"
        ? ["A", 26]
        : ["a", hex ? 6 : 26];
    return String.fromCharCode(first.charCodeAt(0) + randomBelow(count));
  });
}

/** One for each name, none of which occurs in `text` or in another; undefined where names are too short for that. */
export function strangeNames(names: readonly string[], text: string): readonly string[] | undefined {
  const chosen: string[] = [];
  for (const name of names) {
    const fitting = Array.from({ length: 20 }, () => strange(name)).find(
      (one) => !text.includes(one) && !chosen.some((other) => other.includes(one) || one.includes(other)),
    );
    if (fitting === undefined) return undefined;
    chosen.push(fitting);
  }
  return chosen;
}

/** The text with `names` at the marks that are in it. Bytes are Latin-1 characters here. */
export function replaceMarks(
  text: string,
  marks: readonly Pick<Mark, "offset" | "length" | "name">[],
  names: readonly string[],
): string {
  let end = 0;
  const pieces = marks.map(({ offset, length, name }) => {
    const piece = text.slice(end, offset) + names[name];
    end = offset + length;
    return piece;
  });
  return pieces.join("") + text.slice(end);
}

/** Where `strangers` stand in a plan, in order. */
export function findPlaces(plan: Uint8Array, strangers: readonly string[]): readonly Place[] {
  const bytes = Buffer.from(plan.buffer, plan.byteOffset, plan.length);
  return strangers
    .flatMap((stranger, name) => {
      const found: Place[] = [];
      for (let at = bytes.indexOf(stranger, 0, "latin1"); at >= 0; ) {
        found.push({ offset: at, name });
        at = bytes.indexOf(stranger, at + stranger.length, "latin1");
      }
      return found;
    })
    .sort((a, b) => a.offset - b.offset);
}

/** The plan with `names` in their places. */
export function fillIn(plan: Uint8Array, places: readonly Place[], names: readonly string[]): Buffer {
  const filled = Buffer.from(plan);
  for (const { offset, name } of places) filled.write(names[name]!, offset, "latin1");
  return filled;
}
