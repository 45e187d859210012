import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { parseYaml } from "./yaml.ts";

const parse = (text: string) => parseYaml(text, "test");

test("what a generator of CDI specs writes is read", () => {
  const text = `---
cdiVersion: 0.5.0   # the version
kind: nvidia.com/gpu
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      fileMode: 438
    -
      path: "/dev/dri/card1"
  name: "0"
- name: 'it''s'
  containerEdits: {env: [A=1, "B=x, y"], mounts: []}
containerEdits:
  env:
    - NVIDIA_VISIBLE_DEVICES=void
    - PATH=a:b
  hooks:
  - args:
    - nvidia-ctk
    - --folder
    - /usr/lib # not in the text
    hookName: createContainer
    path: /usr/bin/nvidia-ctk
  empty:
  url: http://x#y
  hex: 0x1F
  octal: 0o17
  yes: yes
  on: true
  none: ~
  float: -1.5e3
  zip: 01234
`;
  assert.deepEqual(parse(text), {
    cdiVersion: "0.5.0",
    kind: "nvidia.com/gpu",
    devices: [
      {
        containerEdits: {
          deviceNodes: [{ path: "/dev/nvidia0", fileMode: 438 }, { path: "/dev/dri/card1" }],
        },
        name: "0",
      },
      { name: "it's", containerEdits: { env: ["A=1", "B=x, y"], mounts: [] } },
    ],
    containerEdits: {
      env: ["NVIDIA_VISIBLE_DEVICES=void", "PATH=a:b"],
      hooks: [
        {
          args: ["nvidia-ctk", "--folder", "/usr/lib"],
          hookName: "createContainer",
          path: "/usr/bin/nvidia-ctk",
        },
      ],
      ...{ empty: null, url: "http://x#y", hex: 31, octal: 15, yes: "yes", on: true, none: null },
      ...{ float: -1500, zip: "01234" },
    },
  });
});

test("JSON is YAML", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const simple = JSON.parse(JSON.stringify(value, (_, one) => (Object.is(one, -0) ? 0 : one)));
      assert.deepEqual(parse(`a: ${JSON.stringify(simple)}`), { a: simple });
    }),
  );
});

test("what is not understood is refused with its line", () => {
  for (const [text, line, reason] of [
    ["a: &x 1", 1, /"&" is not supported/],
    ["a: |\n  text", 1, /"\|" is not supported/],
    ["a: 1\na: 2", 2, /stands twice/],
    ["a: 1\n   b: 2", 2, /same indentation/],
    ["a:\n\tb: 1", 2, /a tab/],
    ['a: "x', 1, /does not end/],
    ["a: [1, 2", 1, /flow collection/],
    ["a: {b 1}", 1, /flow collection/],
    [`a: ${"[".repeat(100)}`, 1, /deeper than 32/],
    ["- a\nb: 1", 2, /cannot be understood here/],
  ] as const)
    assert.throws(
      () => parse(text),
      (error) =>
        isGantryError(error, "invalid-argument") && error.detail.line === line && reason.test(error.message),
      text,
    );
});

test("no text makes it do anything but parse or refuse", () => {
  const words = fc.constantFrom(
    "a",
    ":",
    " ",
    "\n",
    "- ",
    "  ",
    "[",
    "]",
    "{",
    "}",
    ",",
    '"',
    "'",
    "#",
    "\\",
    "1",
    "\t",
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 60 }), (parts) => {
      try {
        parse(parts.join(""));
      } catch (error) {
        assert.ok(isGantryError(error, "invalid-argument"), String(error));
      }
    }),
    { numRuns: 3000 },
  );
});
