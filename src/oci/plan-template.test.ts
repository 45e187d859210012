import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { fillIn, findPlaces, replaceMarks, strangeNames } from "./plan-template.ts";

const hex = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 32, maxLength: 64 });
const other = fc.string({ unit: fc.constantFrom(...'{}[]:,./ "@'), maxLength: 40 });

/** Texts with names in them, and the marks of these. */
const marked = fc
  .tuple(
    fc.uniqueArray(hex, { minLength: 1, maxLength: 4 }),
    fc.array(fc.tuple(other, fc.nat(3)), { maxLength: 12 }),
  )
  .map(([names, pieces]) => {
    let text = "";
    const marks = pieces.map(([before, choice]) => {
      text += before;
      const name = choice % names.length;
      const mark = { offset: text.length, length: names[name]!.length, name };
      text += names[name];
      return mark;
    });
    return { names, text, marks };
  });

test("what is compiled from other names becomes, with a call's own names, what is compiled from these", () => {
  fc.assert(
    fc.property(marked, ({ names, text, marks }) => {
      const strangers = strangeNames(names, text)!;
      const compiled = (source: string) => Buffer.from(`plan of ${source}`, "latin1");
      const template = compiled(replaceMarks(text, marks, strangers));
      const places = findPlaces(template, strangers);
      assert.equal(places.length, marks.length);
      assert.deepEqual(fillIn(template, places, names), compiled(text));
    }),
  );
});

test("strangers have the form of what they stand for, and occur nowhere else", () => {
  const names = ["web-1", "0123456789abcdef0123456789abcdef", "2026-11-27T10:00:00.5Z", "Aa0_"];
  const strangers = strangeNames(names, names.join(" "))!;
  assert.match(strangers[0]!, /^[a-z]{3}-\d$/);
  assert.match(strangers[1]!, /^\d{10}[a-f]{6}\d{10}[a-f]{6}$/);
  assert.match(strangers[2]!, /^\d{4}-\d\d-\d\d[A-Z]\d\d:\d\d:\d\d\.\d[A-Z]$/);
  assert.match(strangers[3]!, /^[A-Z][a-z]\d_$/);
});

test("a name for which there is no stranger keeps a plan from being kept", () => {
  assert.equal(strangeNames(["7"], "0 1 2 3 4 5 6 7 8 9"), undefined);
});
