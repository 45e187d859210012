import assert from "node:assert/strict";
import test from "node:test";
import { defaultLog } from "./container-record.ts";
import { type LogRequest, logConfig, parseSize, syslogTls } from "./log-config.ts";
import { parseSyslogAddress, syslogFacility } from "./syslog-options.ts";

const kept = (request: LogRequest) => {
  const { format, limitBytes, files } = logConfig(request);
  return [format, limitBytes, files];
};

test("sizes are Go's: powers of 1000 for files, of 1024 for memory", () => {
  assert.equal(parseSize("10m", 1000), 10_000_000);
  assert.equal(parseSize("1.5k", 1000), 1500);
  assert.equal(parseSize("10MiB", 1024), 10 * 1024 * 1024);
  assert.equal(parseSize("7", 1000), 7);
  assert.equal(parseSize("7b", 1000), 7);
  for (const text of ["", "m", "-1", "1x", "1 2", "1e5"])
    assert.throws(() => parseSize(text, 1000), /invalid size/, text);
});

test("what is kept follows from driver and options", () => {
  assert.deepEqual(logConfig({}), defaultLog);
  assert.deepEqual(kept({ options: { "max-size": "1m" } }), ["json", 1_000_000, 1]);
  assert.deepEqual(kept({ options: { "max-size": "-1" } }), ["json", 0, 1]);
  assert.deepEqual(kept({ driver: "k8s-file", options: { "max-size": "1m", "max-file": "4" } }), [
    "cri",
    1_000_000,
    4,
  ]);
  assert.equal(logConfig({ driver: "cri" }).driver, "k8s-file");
  assert.deepEqual(kept({ driver: "journald" }), ["json", defaultLog.limitBytes, defaultLog.files]);
  assert.deepEqual(kept({ driver: "journald", options: { "cache-max-size": "5k", "cache-max-file": "3" } }), [
    "json",
    5000,
    3,
  ]);
  assert.deepEqual(kept({ driver: "journald", options: { "cache-disabled": "true" } })[0], "none");
});

test("what is not there is said to be so, not passed over", () => {
  assert.throws(
    () => logConfig({ options: { compress: "true" } }),
    /compress cannot be true when max-file is less/,
  );
  assert.equal(logConfig({ options: { compress: "1", "max-size": "1m", "max-file": "3" } }).compress, true);
  assert.equal(logConfig({ options: { compress: "false" } }).format, "json");
  assert.throws(() => logConfig({ options: { "env-regex": "(" } }), /error parsing regexp/);
});

test("addresses of syslog daemons", () => {
  assert.deepEqual(parseSyslogAddress(undefined), { kind: "unix", path: "/dev/log", protocol: "either" });
  assert.deepEqual(parseSyslogAddress("unixgram:///x"), { kind: "unix", path: "/x", protocol: "datagram" });
  const inet = (host: string, port: number, protocol: string) => ({ kind: "inet", host, port, protocol });
  assert.deepEqual(parseSyslogAddress("udp://1.2.3.4"), inet("1.2.3.4", 514, "udp"));
  assert.deepEqual(parseSyslogAddress("tcp://host:1"), inet("host", 1, "tcp"));
  assert.deepEqual(parseSyslogAddress("tcp+tls://host:6514"), inet("host", 6514, "tcp+tls"));
  assert.deepEqual(parseSyslogAddress("tcp://[fe80::1]:99"), inet("fe80::1", 99, "tcp"));
  for (const text of [
    "tcp://",
    "udp://a:0",
    "udp://a:70000",
    "udp://[x]:1",
    "unix://relative",
    "ftp://a",
    "a",
  ])
    assert.throws(() => parseSyslogAddress(text), /syslog-address/, text);
});

test("TLS has files by absolute path, a certificate with its key, and a word of truth", () => {
  const nothing = { caFile: undefined, certFile: undefined, keyFile: undefined, skipVerify: false };
  assert.deepEqual(syslogTls({}), nothing);
  assert.deepEqual(syslogTls({ "syslog-tls-ca-cert": "", "syslog-tls-skip-verify": "false" }), nothing);
  const pair = { "syslog-tls-cert": "/c", "syslog-tls-key": "/k" };
  assert.deepEqual(syslogTls({ ...pair, "syslog-tls-ca-cert": "/ca", "syslog-tls-skip-verify": "true" }), {
    ...{ caFile: "/ca", certFile: "/c", keyFile: "/k", skipVerify: true },
  });
  const refused = (options: Readonly<Record<string, string>>, reason: RegExp) =>
    assert.throws(() => logConfig({ driver: "syslog", options: { ...address, ...options } }), reason);
  const address = { "syslog-address": "tcp+tls://host" };
  refused({ "syslog-tls-ca-cert": "ca.pem" }, /syslog-tls-ca-cert must be an absolute path, got ca\.pem/);
  refused({ "syslog-tls-key": "/k" }, /syslog-tls-cert and syslog-tls-key must be given together/);
  refused({ "syslog-tls-skip-verify": "x" }, /invalid value for option syslog-tls-skip-verify: x/);
});

test("facilities have names and numbers", () => {
  assert.equal(syslogFacility(undefined), 3);
  assert.equal(syslogFacility("kern"), 0);
  assert.equal(syslogFacility("local7"), 23);
  assert.equal(syslogFacility("14"), 14);
  for (const text of ["24", "-1", "x"]) assert.throws(() => syslogFacility(text), /invalid syslog facility/);
});
