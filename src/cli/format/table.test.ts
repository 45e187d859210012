import assert from "node:assert/strict";
import test from "node:test";
import { type Column, formatListing } from "./table.ts";

interface Row {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}
const rows: readonly Row[] = [
  { id: "0123456789ab", name: "web", labels: { a: "1" } },
  { id: "ba9876543210", name: "a-much-longer-name", labels: {} },
];
const columns: readonly Column<Row>[] = [
  { name: "ID", heading: "CONTAINER ID", value: (row) => row.id },
  { name: "Names", heading: "NAMES", value: (row) => row.name },
];
const standard = "{{.ID}}\t{{.Names}}";
const methods = {
  Label: { heading: "LABEL", call: (row: Row, key: unknown) => row.labels[String(key)] ?? "" },
};

test("the plain table aligns its columns with three spaces between", () => {
  assert.equal(
    formatListing(rows, columns, { standard }),
    "CONTAINER ID   NAMES\n0123456789ab   web\nba9876543210   a-much-longer-name\n",
  );
});

test("a table of a template has headings, a plain template has none", () => {
  assert.equal(
    formatListing(rows, columns, { standard, methods, format: 'table {{.Names}}\\t{{.Label "a"}}' }),
    "NAMES                LABEL\nweb                  1\na-much-longer-name   \n",
  );
  assert.equal(formatListing(rows, columns, { standard, format: "{{.Names}}" }), "web\na-much-longer-name\n");
});

test("json prints one object a line", () => {
  assert.equal(
    formatListing(rows.slice(0, 1), columns, { standard, format: "json" }),
    '{"ID":"0123456789ab","Names":"web"}\n',
  );
});

test("escape sequences in a name do not reach the terminal", () => {
  const evil = [{ id: "x", name: "\x1b]0;owned\x07\u202eabc", labels: {} }];
  const shown = formatListing(evil, columns, { standard });
  assert.ok(shown.includes("\\x1b]0;owned\\x07\\u202eabc"), shown);
  assert.ok(!shown.includes("\x1b"));
});

test("an empty list still prints its headings", () => {
  assert.equal(formatListing([], columns, { standard }), "CONTAINER ID   NAMES\n");
});
