/** JSON with values in it that only the executor knows, such as `@PID@` (record-start, record-exit, run-hook). */

/**
 * `late` maps a member to what the executor fills in. What is known never holds such a name itself: an
 * annotation may say "@PID@" and keeps it.
 */
export function lateText(known: object, late: Readonly<Record<string, string>> = {}): string {
  const members = Object.entries(late).map(([key, value]) => `${JSON.stringify(key)}:${value}`);
  const text = JSON.stringify(known).replaceAll("@", "\\u0040");
  return `${text.slice(0, -1)}${text === "{}" || members.length === 0 ? "" : ","}${members.join(",")}}`;
}
