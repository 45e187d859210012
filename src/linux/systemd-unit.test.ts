import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isGantryError } from "../base/error.ts";
import { expandSlice, unitOfContainer } from "./systemd-unit.ts";

const system = { rootless: false };

test("slice, prefix and name make a scope in the slice, whose dashes nest", () => {
  assert.deepEqual(unitOfContainer("kube-pods-burst.slice:cri:abc", "x", system), {
    name: "cri-abc.scope",
    kind: "scope",
    slice: "kube-pods-burst.slice",
    path: "/kube.slice/kube-pods.slice/kube-pods-burst.slice/cri-abc.scope",
  });
  assert.equal(unitOfContainer("-.slice:a:b", "x", system).path, "/a-b.scope");
});

test("what is left out has a default, which is another for a user", () => {
  const path = "/system.slice/gantry-web.scope";
  assert.equal(unitOfContainer(undefined, "web", system).path, path);
  assert.equal(unitOfContainer("", "web", system).path, path);
  assert.equal(unitOfContainer(":p:n", "web", system).path, "/system.slice/p-n.scope");
  assert.equal(unitOfContainer(":p:n", "web", { rootless: true }).path, "/user.slice/p-n.scope");
});

test("a name that ends in .slice is the unit as it is", () => {
  assert.deepEqual(unitOfContainer("system.slice:ignored:a-b.slice", "x", system), {
    name: "a-b.slice",
    kind: "slice",
    slice: "system.slice",
    path: "/a.slice/a-b.slice",
  });
});

test("what is no unit is refused in runc's words", () => {
  const refused = (path: string, reason: RegExp) =>
    assert.throws(
      () => unitOfContainer(path, "x", system),
      (error) =>
        isGantryError(error, "invalid-argument") &&
        reason.test(error.message) &&
        error.detail.pointer === "/linux/cgroupsPath",
      path,
    );
  refused("/pods/one", /expected cgroupsPath to be of format "slice:prefix:name"/);
  refused("a.slice:b:c:d", /expected cgroupsPath to be of format/);
  for (const slice of ["a--b.slice", "-a.slice", "a-.slice", "a/b.slice", ".slice", "a.scope", "../x.slice"])
    refused(`${slice}:p:n`, /invalid slice name|invalid systemd unit name/);
  refused(":p:a/b", /invalid systemd unit name/);
  refused(":p:a b", /invalid systemd unit name/);
  refused(":p:", /is empty/);
  refused(`:p:${"n".repeat(250)}`, /invalid systemd unit name/);
  refused(":p:-.slice", /the root slice/);
});

test("no cgroupsPath leads out of the tree", () => {
  fc.assert(
    fc.property(fc.tuple(fc.string(), fc.string(), fc.string()), (parts) => {
      let path: string;
      try {
        path = unitOfContainer(parts.join(":"), "x", system).path;
      } catch (error) {
        assert.ok(isGantryError(error, "invalid-argument"));
        return;
      }
      assert.match(path, /^(\/[^/]+)+\.(scope|slice)$/);
      assert.ok(!path.split("/").some((part) => part === ".." || part === "."));
    }),
  );
});

test("a slice is a path with all that are above it", () => {
  assert.equal(expandSlice("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
});
