import assert from "node:assert/strict";
import test from "node:test";
import { homeOf, parseArchitecture } from "./architecture.ts";

const page = `# Map

| rank | folder | what lives there |
|---|---|---|
| 0 | \`src/base/\` | errors, scopes; no word of containers |
| 1 | \`src/spec/\` | OCI types; pure |
| 7 | \`src/cri/\`, \`src/docker/\`, \`src/build/\` | front doors |
| 9 | \`src/cli/\`, \`src/index.ts\` | commands |
| - | \`native/\` | the executor in C |

| rank | folder |
| 5 | \`src/later/\` | another table |

May start processes: \`src/oci/hooks.ts\`, \`src/network/\`.
`;

test("the ranks table lists several folders a row and leaves out what has no rank", () => {
  const { ranks } = parseArchitecture(page);
  assert.deepEqual(
    [...ranks],
    [
      ["src/base/", 0],
      ["src/spec/", 1],
      ["src/cri/", 7],
      ["src/docker/", 7],
      ["src/build/", 7],
      ["src/cli/", 9],
      ["src/index.ts", 9],
    ],
  );
});

test("a description that ends in pure makes the folder pure", () => {
  assert.deepEqual(parseArchitecture(page).pure, ["src/spec/"]);
});

test("src/launch/ and what the page adds may start processes", () => {
  const { mayStartProcesses } = parseArchitecture(page);
  assert.deepEqual(mayStartProcesses, ["src/launch/", "src/oci/hooks.ts", "src/network/"]);
});

test("a page without the table, or with a folder listed twice, is refused", () => {
  assert.throws(() => parseArchitecture("# nothing"), /no table that begins with/);
  assert.throws(() => parseArchitecture(page.replace("`src/spec/`", "`src/base/`")), /src\/base\/ twice/);
});

test("a file belongs to the listed folder it lies in, or to its own entry", () => {
  const listed = parseArchitecture(page).ranks.keys();
  assert.equal(homeOf("src/spec/image/x.ts", [...listed]), "src/spec/");
  assert.equal(homeOf("src/index.ts", ["src/index.ts"]), "src/index.ts");
  assert.equal(homeOf("src/specs/x.ts", ["src/spec/"]), undefined);
});
