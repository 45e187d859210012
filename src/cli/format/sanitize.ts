/** Keeps foreign text (names, labels, errors) from driving the terminal it is shown on. Pure. */

/** Writes control characters, escape sequences included, as `\x1b`; characters in `keep` stay. */
export function sanitize(text: string, keep = ""): string {
  // C0, DEL, C1, and the marks that reorder text in both directions
  return text.replace(/[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    if (keep.includes(character)) return character;
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}
