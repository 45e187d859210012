/** The WWW-Authenticate header (RFC 9110, 11.6.1), as registries send it. */

export interface Challenge {
  /** Lower case: "bearer", "basic". */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const limit = 8192;
const schemeForm = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s+|(?=,|$))/y;
const parameterForm = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*/y;
const separatorForm = /[\s,]*/y;

function match(form: RegExp, text: string, at: number): RegExpExecArray | null {
  form.lastIndex = at;
  return form.exec(text);
}

/** All challenges of the header; what cannot be read ends the list. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, limit);
  const challenges: Challenge[] = [];
  let position = 0;
  while (position < text.length) {
    position += match(separatorForm, text, position)?.[0].length ?? 0;
    const scheme = match(schemeForm, text, position);
    if (!scheme?.[1]) break;
    position += scheme[0].length;
    const parameters: Record<string, string> = {};
    for (;;) {
      const gap = match(separatorForm, text, position)?.[0].length ?? 0;
      const parameter = match(parameterForm, text, position + gap);
      if (!parameter?.[1]) break;
      position += gap + parameter[0].length;
      parameters[parameter[1].toLowerCase()] = parameter[2]?.replace(/\\(.)/g, "$1") ?? parameter[3] ?? "";
    }
    challenges.push({ scheme: scheme[1].toLowerCase(), parameters });
  }
  return challenges;
}
