/** Reads the part of a junit report that the test run needs. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface JunitReport extends Counts {
  /** "file > test name" with the failure's own text. */
  readonly failures: readonly { readonly name: string; readonly text: string }[];
}

export function parseJunit(xml: string): JunitReport {
  const head = /<testsuites\b[^>]*>/.exec(xml)?.[0];
  if (head === undefined || !xml.includes("</testsuites>")) throw new Error("the junit report is cut short");
  const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failures: { name: string; text: string }[] = [];
  for (const [, attributes = "", body = ""] of xml.matchAll(/<testcase\b([^>]*[^/])>(.*?)<\/testcase>/gs)) {
    const failure = /<failure\b[^>]*?(?:\/>|>(.*?)<\/failure>)/s.exec(body);
    if (!failure) continue;
    const attribute = (name: string) =>
      unescapeXml(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const message = /<failure\b[^>]*\bmessage="([^"]*)"/.exec(body)?.[1] ?? "";
    const text = unescapeXml(failure[1] || message);
    failures.push({ name: `${attribute("file")} > ${attribute("name")}`, text });
  }
  const failed = number("failures") + number("errors");
  const skipped = number("skipped");
  return { passed: number("tests") - failed - skipped, failed, skipped, failures };
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return entities[name as string] ?? whole;
  });
}
