import assert from "node:assert/strict";
import test from "node:test";
import { parseDevice, parseGpus } from "./devices.ts";
import { parseDeviceRate, parseDeviceWeight } from "./limits.ts";
import { parseDnsSearch, parseExpose, parseExtraHost } from "./names.ts";

test("--device takes paths with names and rights, and names of CDI", () => {
  assert.deepEqual(parseDevice("/dev/a"), { hostPath: "/dev/a" });
  assert.deepEqual(parseDevice("/dev/a:rw"), { hostPath: "/dev/a", permissions: "rw" });
  assert.deepEqual(parseDevice("/dev/a:/dev/b"), { hostPath: "/dev/a", containerPath: "/dev/b" });
  assert.deepEqual(parseDevice("/dev/a:/dev/b:m"), {
    ...{ hostPath: "/dev/a", containerPath: "/dev/b", permissions: "m" },
  });
  assert.deepEqual(parseDevice("vendor.com/class=one"), { cdi: "vendor.com/class=one" });
  for (const [text, reason] of [
    ["/dev/a:/dev/b:rwx", /bad mode specified: rwx/],
    ["/dev/a:/dev/b:r:x", /bad format for path/],
    ["/dev/a:b", /b is not an absolute path/],
    ["a", /a is not an absolute path/],
    ["/dev/a:/b:rr", /bad mode specified: rr/],
  ] as const)
    assert.throws(() => parseDevice(text), reason, text);
});

test("--gpus takes docker's forms", () => {
  assert.equal(parseGpus("all"), "all");
  assert.equal(parseGpus("2"), 2);
  assert.equal(parseGpus("count=all"), "all");
  assert.equal(parseGpus("count=3,capabilities=compute"), 3);
  assert.deepEqual(parseGpus("device=0,1"), ["0", "1"]);
  assert.deepEqual(parseGpus('"device=0,2",capabilities=utility'), ["0", "2"]);
  assert.equal(parseGpus("capabilities=gpu"), 1);
  assert.throws(() => parseGpus("count=2,device=0"), /cannot set both/);
  assert.throws(() => parseGpus("color=red"), /unexpected key 'color'/);
  assert.throws(() => parseGpus("count=many"), /invalid count/);
  assert.throws(() => parseGpus("many"), /invalid gpu request/);
});

test("limits of block devices have a path and a number", () => {
  assert.deepEqual(parseDeviceWeight("/dev/sda:200"), { path: "/dev/sda", weight: 200 });
  assert.deepEqual(parseDeviceRate("/dev/sda:1mb", "readBps", true), { path: "/dev/sda", readBps: 1 << 20 });
  assert.deepEqual(parseDeviceRate("/dev/sda:100", "writeIops", false), { path: "/dev/sda", writeIops: 100 });
  assert.throws(() => parseDeviceWeight("/dev/sda:5"), /invalid weight for device/);
  assert.throws(() => parseDeviceWeight("sda:200"), /bad format for device path/);
  assert.throws(() => parseDeviceRate("/dev/sda", "readBps", true), /bad format/);
  assert.throws(() => parseDeviceRate("/dev/sda:1mb", "readIops", false), /invalid rate for device/);
});

test("names and ports", () => {
  assert.equal(parseExtraHost("a:1.2.3.4"), "a:1.2.3.4");
  assert.equal(parseExtraHost("a=::1"), "a:::1");
  assert.equal(parseExtraHost("a:[::1]"), "a:::1");
  assert.deepEqual(parseExpose("80"), ["80/tcp"]);
  assert.deepEqual(parseExpose("8000-8002/UDP"), ["8000/udp", "8001/udp", "8002/udp"]);
  for (const bad of ["", "70000", "2-1", "80/http"])
    assert.throws(() => parseExpose(bad), /invalid range/, bad);
  assert.equal(parseDnsSearch("."), ".");
  assert.equal(parseDnsSearch("a.example"), "a.example");
  for (const bad of ["", "-a", "a..b", "a b"])
    assert.throws(() => parseDnsSearch(bad), /not a valid domain/, bad);
});
