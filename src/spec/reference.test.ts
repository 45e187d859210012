import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { digestOf } from "./digest.ts";
import {
  familiarReference,
  formatReference,
  parseReference,
  parseReferenceExactly,
  type Reference,
  repositoryOf,
} from "./reference.ts";

const digest = digestOf("x");

/** As in distribution/reference, normalize_test.go and reference_test.go. */
const forms: readonly (readonly [written: string, complete: string, familiar: string])[] = [
  ["busybox", "docker.io/library/busybox:latest", "busybox:latest"],
  ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"],
  ["library/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
  ["docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
  ["index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
  ["docker.io/library/busybox:a", "docker.io/library/busybox:a", "busybox:a"],
  ["team/app", "docker.io/team/app:latest", "team/app:latest"],
  ["docker.io/a/b/c", "docker.io/a/b/c:latest", "a/b/c:latest"],
  ["library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"],
  ["localhost/app", "localhost/app:latest", "localhost/app:latest"],
  ["localhost:5000/app:1.2", "localhost:5000/app:1.2", "localhost:5000/app:1.2"],
  ["127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest"],
  ["[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"],
  ["ghcr.io/o/app", "ghcr.io/o/app:latest", "ghcr.io/o/app:latest"],
  ["Registry/app", "Registry/app:latest", "Registry/app:latest"],
  ["docker.io/foo.bar/baz", "docker.io/foo.bar/baz:latest", "docker.io/foo.bar/baz:latest"],
  [`busybox@${digest}`, `docker.io/library/busybox@${digest}`, `busybox@${digest}`],
  [`localhost:5000/x:t@${digest}`, `localhost:5000/x:t@${digest}`, `localhost:5000/x:t@${digest}`],
  ["a__b--c.d_e", "docker.io/library/a__b--c.d_e:latest", "a__b--c.d_e:latest"],
  ["app:A.b_c-D", "docker.io/library/app:A.b_c-D", "app:A.b_c-D"],
];

for (const [written, complete, familiar] of forms)
  test(`${written} means ${complete}`, () => {
    const reference = parseReference(written);
    assert.equal(formatReference(reference), complete);
    assert.equal(familiarReference(reference), familiar);
  });

const refused: readonly (readonly [string, RegExp])[] = [
  ["", /it is empty/],
  ["Busybox", /lower case/],
  ["team/App", /lower case/],
  ["a".repeat(64), /image ID/],
  ["app:", /"" is not a tag/],
  ["app:-x", /is not a tag/],
  [`app:${"x".repeat(129)}`, /is not a tag/],
  ["app@sha256:abc", /not a supported digest/],
  ["app@", /not a supported digest/],
  ["a..b", /is not a repository name/],
  ["a___b", /is not a repository name/],
  ["-a", /is not a repository name/],
  ["a//b", /is not a repository name/],
  ["/a", /is not a repository name/],
  ["a/", /is not a repository name/],
  ["../a", /is not a registry host/],
  ["host.:80/a", /is not a registry host/],
  ["host:999999/a", /is not a registry host/],
  ["a b", /is not a repository name/],
  ["a\n", /is not a repository name/],
  ["app:1\n", /is not a tag/],
  [`docker.io/${"a".repeat(256)}`, /longer than 255/],
  ["x".repeat(2000), /longer than 1024/],
];

for (const [written, reason] of refused)
  test(`${JSON.stringify(written.slice(0, 30))} is refused`, () => {
    assert.throws(
      () => parseReference(written),
      (error) => isGantryError(error, "invalid-argument") && reason.test(error.message),
    );
  });

test("parsing exactly adds no tag", () => {
  assert.equal(parseReferenceExactly("busybox").tag, undefined);
  assert.equal(repositoryOf(parseReferenceExactly("busybox")), "docker.io/library/busybox");
});

const pathPart = fc.stringMatching(/^[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,5})?$/);
const references: fc.Arbitrary<Reference> = fc.record(
  {
    domain: fc.oneof(
      fc.constantFrom("docker.io", "localhost", "localhost:5000", "[::1]:80", "Host"),
      fc.stringMatching(/^[a-z]{1,8}\.[a-z]{2,4}(?::\d{1,5})?$/),
    ),
    path: fc.array(pathPart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
    tag: fc.stringMatching(/^\w[\w.-]{0,20}$/),
    digest: fc.constantFrom(digest, digestOf("y", "sha512")),
  },
  { requiredKeys: ["domain", "path"] },
);

test("the complete form of any reference reads back as itself", () => {
  fc.assert(
    fc.property(references, (given) => {
      // on Docker Hub a path always has two parts, and the old name of Hub is not kept
      const path =
        given.domain === "docker.io" && !given.path.includes("/") ? `library/${given.path}` : given.path;
      fc.pre(given.domain !== "index.docker.io");
      const reference = { ...given, path };
      assert.deepEqual(parseReferenceExactly(formatReference(reference)), reference);
      assert.deepEqual(parseReferenceExactly(familiarReference(reference)), reference);
    }),
  );
});

test("any text either parses to something that reads back, or is refused with invalid-argument", () => {
  const texts = fc.oneof(fc.string({ maxLength: 100 }), fc.stringMatching(/^[a-zA-Z0-9./:@_\-[\]]{0,60}$/));
  fc.assert(
    fc.property(texts, (text) => {
      try {
        const reference = parseReference(text);
        assert.deepEqual(parseReference(formatReference(reference)), reference);
        assert.deepEqual(parseReference(familiarReference(reference)), reference);
      } catch (error) {
        if (!isGantryError(error, "invalid-argument")) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});
