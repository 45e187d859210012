/** Whether sources have a test of a name. Names may be made by templates: `the plan of ${name} is the golden one`. */

/** Shorter templates match nearly anything. */
const fewestLetters = 8;

/** String and template literals of TypeScript, without looking into nested templates. */
function literals(source: string): readonly { readonly text: string; readonly template: boolean }[] {
  const found = source.matchAll(/"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`|'((?:[^'\\\n]|\\.)*)'/g);
  return [...found].map(([, double, template, single]) => ({
    text: (double ?? template ?? single ?? "").replaceAll(/\\(["'`\\])/g, "$1"),
    template: template !== undefined,
  }));
}

const literally = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * A literal that is the name; or a template that can make it, if each part that is a sentence of its own stands
 * somewhere as a literal. A name with `${…}` in it must be a template to the letter.
 */
export function hasTest(sources: readonly string[], name: string): boolean {
  const all = sources.flatMap(literals);
  const plain = new Set(all.map(({ text }) => text));
  if (plain.has(name)) return true;
  if (name.includes("${")) return false;
  return all.some(({ text, template }) => {
    if (!template || !text.includes("${")) return false;
    const fixed = text.split(/\$\{[^}]*\}/);
    if (fixed.join("").length < fewestLetters) return false;
    const match = new RegExp(`^${fixed.map(literally).join("(.*)")}$`, "s").exec(name);
    return match?.slice(1).every((part) => !part.includes(" ") || plain.has(part)) ?? false;
  });
}
