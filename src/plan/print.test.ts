import assert from "node:assert/strict";
import test from "node:test";
import { printPlan, printStep } from "./print.ts";

test("a step tells operands by name, descriptors in brackets and what it fills behind an arrow", () => {
  assert.equal(
    printStep({
      op: "make-cgroup",
      where: "",
      mount: "/sys/fs/cgroup",
      path: "/a b",
      init: 2,
      dir: "cgroup",
    }),
    'make-cgroup mount=/sys/fs/cgroup path="/a b" init=2 -> <cgroup>',
  );
});

test("masks, namespaces and points are told by name", () => {
  assert.equal(
    printStep({ op: "clone", where: "", namespaces: 0x20020000, cgroup: undefined }),
    "clone namespaces=mount,pid",
  );
  assert.equal(printStep({ op: "report", where: "", point: 2 }), "report point=started");
  assert.equal(printStep({ op: "drop-bounding", where: "", keep: 0x21n }), "drop-bounding keep=chown,kill");
  assert.equal(
    printStep({ op: "set-rlimit", where: "", resource: 4, soft: 0, hard: 2n ** 64n - 1n }),
    "set-rlimit resource=4 soft=0 hard=unlimited",
  );
});

test("long values are cut, lists end with how many more there are", () => {
  const args = Array.from({ length: 100 }, (_, index) => `argument-${index}`);
  const text = printStep({ op: "exec", where: "", args, env: ["A=".padEnd(100, "x")] });
  assert.match(text, /argument-0 argument-1 .*… \d+ more\] env=\[A=x{58}…\]$/);
  const filter = new Uint8Array(80);
  assert.equal(
    printStep({ op: "load-seccomp", where: "", flags: 4, filter, listener: 0 }),
    "load-seccomp flags=0x4 filter=10 instructions listener=0",
  );
});

test("nothing in a value can move a terminal's cursor", () => {
  const text = printStep({ op: "set-hostname", where: "", name: "a\u001b[2Jb\u009bc\u202ed" });
  assert.equal(text, String.raw`set-hostname name="a\u001b[2Jb\u009bc\u202ed"`);
});

test("a plan is one line a step with stage, number and pointer", () => {
  const plan = {
    host: [{ op: "await-exec", where: "" }],
    child: [{ op: "set-umask", where: "/process/user/umask", phrase: "umask", mask: 0o22 }],
    cleanup: [{ op: "kill-child", where: "" }],
  } as const;
  assert.equal(
    printPlan(plan, { phrases: true }),
    'host      0  await-exec\nchild     0  set-umask mask=022  (/process/user/umask)  "umask"\ncleanup   0  kill-child\n',
  );
});
