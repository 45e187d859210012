/**
 * What the default seccomp profile and the default privileges keep from a container (CVE-2022-0185,
 * CVE-2026-31431, CVE-2017-5226 and what Docker's documentation lists).
 */
import assert from "node:assert/strict";
import { attack, without } from "./cell.ts";

function answers(stdout: string): ReadonlyMap<string, string> {
  return new Map(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(": ") as [string, string]),
  );
}

attack("CVE-2022-0185, CVE-2026-31431: the default profile denies all that Docker's denies", async (cell) => {
  const { stdout, error } = await cell.run(["/probe", "forbidden"]);
  const got = answers(stdout);
  assert.ok(got.size > 35, error);
  for (const [call, answer] of got) {
    // clone3 cannot be looked into, so it is said not to exist and libraries fall back to clone
    if (call.startsWith("clone3")) assert.equal(answer, "ENOSYS", call);
    else assert.match(answer, /^(EPERM|ENOSYS)$/, call);
  }
});

attack("the attack is real: without the profile those calls reach the kernel", async (cell) => {
  const { stdout } = await cell.run(["/probe", "forbidden"], { plan: without("load-seccomp") });
  const got = answers(stdout);
  for (const call of ["unshare(NEWUSER)", "clone(NEWUSER)", "clone3(NEWUSER)", "clone3(0)", "keyctl"])
    assert.equal(got.get(call), "ok", call);
  for (const call of ["add_key", "socket(AF_ALG)", "io_uring_setup", "socket(AF_VSOCK)"])
    assert.notEqual(got.get(call), "EPERM", call);
});

attack(
  "with all capabilities the profile opens what they are for, and still not user-space traps",
  async (cell) => {
    const { stdout } = await cell.run(["/probe", "forbidden"], { options: { capAdd: ["ALL"] } });
    const got = answers(stdout);
    for (const call of [
      "keyctl",
      "add_key",
      "request_key",
      "socket(AF_ALG)",
      "io_uring_setup",
      "userfaultfd",
      "x32 unshare",
      "x32 keyctl",
      "32-bit keyctl",
      "kexec_load",
    ])
      if (got.has(call)) assert.match(got.get(call)!, /^(EPERM|ENOSYS)$/, call);
  },
);

attack("CVE-2017-5226: a program cannot type into the terminal of who started it", async (cell) => {
  const { stdout } = await cell.run(["/probe", "inject"]);
  const got = answers(stdout);
  assert.equal(got.get("open /dev/tty"), "ENXIO");
  assert.notEqual(got.get("TIOCSTI on stdin"), "ok");
  assert.notEqual(got.get("TIOCSCTTY on stdin"), "ok");
});

attack("a program is the leader of a session of its own", async (cell) => {
  const { stdout } = await cell.run(["/bin/cat", "/proc/self/stat"]);
  const [pid, , , ppid, group, session] = stdout.split(" ");
  assert.deepEqual([pid, ppid, group, session], ["1", "0", "1", "1"]);
});
