import assert from "node:assert/strict";
import { constants } from "node:os";
import test from "node:test";
import { exitStatus, parseSignal, processEnd, signalName, signalOfExitStatus } from "./signals.ts";

test("names and numbers are those of the system", () => {
  for (const [name, number] of Object.entries(constants.signals)) {
    assert.equal(parseSignal(name), number, name);
    assert.equal(parseSignal(name.slice(3).toLowerCase()), number, name);
    assert.equal(parseSignal(signalName(number)!), number, name);
  }
});

test("numbers and real-time signals are understood", () => {
  assert.equal(parseSignal("15"), 15);
  assert.equal(parseSignal("64"), 64);
  assert.equal(parseSignal("RTMIN"), 34);
  assert.equal(parseSignal("SIGRTMIN+3"), 37);
  assert.equal(parseSignal("rtmax-1"), 63);
  assert.equal(signalName(37), "SIGRTMIN+3");
  assert.equal(signalName(64), "SIGRTMAX");
});

test("what is no signal is refused", () => {
  for (const text of ["", "0", "65", "-9", "9x", "KILLED", "SIG", "RTMIN+31", "RTMAX-31", "RTMIN-1", "1e1"])
    assert.equal(parseSignal(text), undefined, text);
  for (const number of [0, 32, 33, 65, -1, 1.5]) assert.equal(signalName(number), undefined);
});

test("a wait status becomes an exit status as shells tell it", () => {
  assert.deepEqual(processEnd(0x2a00), { kind: "exited", status: 42 });
  assert.deepEqual(processEnd(9), { kind: "signaled", signal: 9, coreDumped: false });
  assert.deepEqual(processEnd(0x86), { kind: "signaled", signal: 6, coreDumped: true });
  assert.equal(processEnd(0x137f), undefined);
  assert.equal(exitStatus({ kind: "exited", status: 42 }), 42);
  assert.equal(exitStatus({ kind: "signaled", signal: 9, coreDumped: false }), 137);
  assert.equal(signalOfExitStatus(137), 9);
  assert.equal(signalOfExitStatus(128), undefined);
  assert.equal(signalOfExitStatus(255), undefined);
});
