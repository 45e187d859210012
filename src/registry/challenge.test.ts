import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseChallenges } from "./challenge.ts";

test("a bearer challenge gives realm, service and scope", () => {
  assert.deepEqual(
    parseChallenges(
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    ),
    [
      {
        scheme: "bearer",
        parameters: {
          realm: "https://auth.docker.io/token",
          service: "registry.docker.io",
          scope: "repository:a/b:pull,push",
        },
      },
    ],
  );
});

test("several challenges, bare tokens, escapes and odd spacing are read", () => {
  assert.deepEqual(
    parseChallenges('Negotiate, BASIC  realm = "a \\"b\\"" , charset=UTF-8,  Bearer Realm=x'),
    [
      { scheme: "negotiate", parameters: {} },
      { scheme: "basic", parameters: { realm: 'a "b"', charset: "UTF-8" } },
      { scheme: "bearer", parameters: { realm: "x" } },
    ],
  );
  assert.deepEqual(parseChallenges(""), []);
  assert.deepEqual(parseChallenges('="'), []);
});

test("any header ends in a list, quickly", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z=", \\]{0,200}$/)), (text) => {
      assert.ok(Array.isArray(parseChallenges(text)));
    }),
    { numRuns: 1000 },
  );
  parseChallenges(`Bearer ${'a="\\'.repeat(1_000_000)}`);
});
