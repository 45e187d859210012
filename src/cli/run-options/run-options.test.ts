import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { gatherEnvironment, gatherLabels, parseVariableFile } from "./environment.ts";
import { parseCpus, parseUlimit } from "./limits.ts";
import { parseMount, splitCsv } from "./mount-flag.ts";
import { parseTmpfs, parseVolume } from "./mounts.ts";

test("-v takes a host path, a target and options", () => {
  assert.deepEqual(parseVolume("/a:/b"), {
    kind: "bind",
    source: "/a",
    target: "/b",
    readOnly: false,
    createSource: true,
  });
  assert.deepEqual(parseVolume("./x:/b/../c:ro,rslave,z", "/home"), {
    ...{
      kind: "bind",
      source: "/home/x",
      target: "/c",
      readOnly: true,
      propagation: "rslave",
      createSource: true,
    },
  });
});

test("-v takes volumes, named or not", () => {
  assert.deepEqual(parseVolume("/a"), { kind: "volume", target: "/a" });
  assert.deepEqual(parseVolume("data:/b"), { kind: "volume", source: "data", target: "/b" });
  assert.deepEqual(parseVolume("data:/b:ro,nocopy,Z,cached"), {
    ...{ kind: "volume", source: "data", target: "/b", readOnly: true, noCopy: true },
  });
  const depth = (mode: string) => {
    const mount = parseVolume(`/a:/b:${mode}`);
    return mount.kind === "bind" ? [mount.readOnly, mount.readOnlyDepth] : [];
  };
  assert.deepEqual(depth("ro-non-recursive"), [true, "top"]);
  assert.deepEqual(depth("ro-force-recursive"), [true, undefined]);
});

test("-v refuses what it cannot do, and says what is wrong", () => {
  const cases: Readonly<Record<string, RegExp>> = {
    "/a:/b:ro,rw": /invalid mode: ro,rw/,
    "/a:/b:shared,rslave": /invalid mode: shared,rslave/,
    "/a:rw": /invalid volume specification: '\/a:rw'/,
    "data:/b:rshared": /field BindOptions must not be specified/,
    "data:/b:ro-non-recursive": /field BindOptions must not be specified/,
    "/a:b": /mount path must be absolute/,
    "/a:/": /destination can't be '\/'/,
    "/a:/..": /destination can't be '\/'/,
    "/a:/b:foo": /invalid mode: foo/,
    "/a:/b:ro:x": /invalid volume specification: '\/a:\/b:ro:x'/,
    ":/b": /invalid spec: :\/b: empty section between colons/,
    "/a:": /invalid spec: \/a:: empty section between colons/,
    "": /invalid empty volume spec/,
  };
  for (const [text, message] of Object.entries(cases)) assert.throws(() => parseVolume(text), message, text);
});

test("--mount takes CSV with every spelling of its keys", () => {
  assert.deepEqual(parseMount('type=bind,"src=/a,b",dst=/c,ro,bind-propagation=rshared'), {
    ...{
      kind: "bind",
      source: "/a,b",
      target: "/c",
      readOnly: true,
      propagation: "rshared",
      createSource: false,
    },
  });
  assert.deepEqual(parseMount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770"), {
    ...{ kind: "tmpfs", target: "/t", options: ["size=67108864", "mode=1770"] },
  });
  assert.deepEqual(
    parseMount("src=v,dst=/d,volume-opt=type=tmpfs,volume-opt=o=a=b,volume-label=x,volume-subpath=p,ro"),
    {
      kind: "volume",
      source: "v",
      target: "/d",
      readOnly: true,
      subpath: "p",
      driverOptions: { type: "tmpfs", o: "a=b" },
      labels: { x: "" },
    },
  );
  assert.deepEqual(parseMount("dst=/d"), { kind: "volume", target: "/d" });
  assert.deepEqual(parseMount("type=image,src=i,dst=/d,image-subpath=p/q"), {
    ...{ kind: "image", source: "i", target: "/d", subpath: "p/q" },
  });
  assert.deepEqual(splitCsv('a,"b ""c""",,d'), ["a", 'b "c"', "", "d"]);
});

test("--mount refuses unknown keys and missing parts", () => {
  const cases: Readonly<Record<string, RegExp>> = {
    "type=bind,source=/a": /target is required/,
    "type=bind,target=/a": /Source must not be empty/,
    "type=bind,src=/a,dst=/b,foo=1": /unexpected key 'foo' in 'foo=1'/,
    "type=bind,src=/a,dst=/b,tmpfs-size=1": /cannot mix 'tmpfs-\*'/,
    "type=npipe,src=/a,dst=/b": /invalid mount config for type "npipe": mount type unknown/,
    "type=bind,src=a/b,dst=/b": /invalid mount path: 'a\/b' mount path must be absolute/,
    "type=bind,src=/a,dst=/b,bind-propagation=up": /invalid propagation mode: up/,
    "dst=/b,ro": /must not set ReadOnly mode when using anonymous volumes/,
    "dst=/b,volume-subpath=x": /must not set Subpath when using anonymous volumes/,
    "src=v,dst=/b,volume-subpath=/x": /subpath must be a relative path within the volume/,
    "src=v,dst=/b,volume-subpath=a/../../b": /subpath must be a relative path within the volume/,
    "type=image,dst=/b": /field Source must not be empty/,
    "type=tmpfs,src=x,dst=/b": /field Source must not be specified/,
    foo: /must be a key=value pair/,
    'type="bind': /quote/,
  };
  for (const [text, message] of Object.entries(cases)) assert.throws(() => parseMount(text), message, text);
});

test("--tmpfs takes a path and mount options", () => {
  assert.deepEqual(parseTmpfs("/run:size=1m,exec"), {
    kind: "tmpfs",
    target: "/run",
    options: ["size=1m", "exec"],
  });
  assert.throws(() => parseTmpfs("run"), /must be absolute/);
});

test("variables come from files, options and the client, later ones win", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-env-"));
  try {
    const path = join(dir, "env");
    writeFileSync(path, "# comment\nA=file\n\n  B=b c=d\r\nFROM_CLIENT\nMISSING\n");
    assert.deepEqual(gatherEnvironment([path], ["A=option", "E="], { FROM_CLIENT: "yes" }), [
      ...["A=option", "B=b c=d", "FROM_CLIENT=yes", "E="],
    ]);
    assert.deepEqual(gatherEnvironment([path], ["A", "GONE"], {}), ["A", "B=b c=d", "GONE"]);
    assert.deepEqual(gatherLabels([path], ["x", "y=1=2"]), {
      ...{ A: "file", B: "b c=d", FROM_CLIENT: "", MISSING: "", x: "", y: "1=2" },
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a bad variable file is refused with its line", () => {
  assert.throws(() => parseVariableFile("=x", "f"), /no variable name on line '=x'/);
  assert.throws(() => parseVariableFile("ok=1\nA B=x", "f"), /line 2: variable 'A B' contains whitespaces/);
  assert.throws(
    () => gatherEnvironment(["/nonexistent"], []),
    /open "\/nonexistent": no such file or directory/,
  );
  assert.throws(() => gatherEnvironment([], ["=x"]), /invalid environment variable: =x/);
});

test("ulimits and CPUs are numbers within their rules", () => {
  assert.deepEqual(parseUlimit("nofile=1024:2048"), { name: "nofile", soft: 1024, hard: 2048 });
  assert.deepEqual(parseUlimit("memlock=-1"), { name: "memlock", soft: -1, hard: -1 });
  for (const bad of ["nofile", "foo=1", "nofile=2:1", "nofile=1:2:3", "nofile=x", "nofile=-1:5"])
    assert.throws(() => parseUlimit(bad), /ulimit/, bad);
  assert.deepEqual(["2", "0.5", ".25"].map(parseCpus), [2, 0.5, 0.25]);
  for (const bad of ["-1", "x", "1e3", ""]) assert.throws(() => parseCpus(bad), /CPUs|rational/, bad);
});
