/**
 * Descriptors of the host that leak into a container, and working directories reached through them
 * (CVE-2016-9962, CVE-2024-21626).
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodePlan } from "../../src/plan/encode.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { ended } from "../lib/command.ts";
import { attack, type Cell, without } from "./cell.ts";

/** Runs a plan as `gantry-oci` does: from a file on a descriptor, beside whatever the caller has open. */
async function runWith(cell: Cell, plan: Plan, fds: readonly number[]) {
  const file = join(cell.folder(), "plan");
  // nobody listens for reports
  writeFileSync(file, encodePlan(without("report")(plan)));
  const planFd = openSync(file, "r");
  // the caller's descriptors from 3 on; the plan after them
  const stdio = ["ignore", "pipe", "pipe", ...fds, planFd] as const;
  const child = spawn(cell.executor, ["plan", String(3 + fds.length)], {
    stdio: [...stdio],
    env: { GANTRY_TEST_DIR: cell.dir },
  });
  const texts = ["", ""];
  child.stdout!.on("data", (chunk) => (texts[0] += chunk));
  child.stderr!.on("data", (chunk) => (texts[1] += chunk));
  const code = await ended(child);
  closeSync(planFd);
  return { code, stdout: texts[0]!, stderr: texts[1]! };
}

attack("CVE-2016-9962: a program is born with stdin, stdout and stderr and nothing else", async (cell) => {
  const { stdout } = await cell.run(["/probe", "descriptors"]);
  assert.deepEqual(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0]),
    ["0", "1", "2"],
  );
});

attack("CVE-2024-21626: a directory that the caller holds open does not reach the program", async (cell) => {
  const secret = openSync("/etc", "r");
  try {
    const plan = cell.compile(["/probe", "descriptors"]);
    const { code, stdout } = await runWith(cell, plan, [secret, secret, secret]);
    assert.equal(code, 0);
    assert.doesNotMatch(stdout, /^([3-9]|\d\d+) /m);
    // the attack is real: what the caller asks to keep is kept, and is the host's
    const kept = cell.compile(["/probe", "descriptors"], { mode: { preserveFds: 3 } });
    assert.match((await runWith(cell, kept, [secret, secret, secret])).stdout, /^5 \/etc$/m);
  } finally {
    closeSync(secret);
  }
});

attack("CVE-2024-21626: no working directory below /proc/self/fd is a way out of the root", async (cell) => {
  const canary = join(cell.dir, "canary");
  writeFileSync(canary, "of the host");
  const script = `pwd; for up in . .. ../.. ../../../.. ../../../../../../..; do cat $up${canary} $up/etc/shadow; done`;
  const rootfs = cell.rootfs();
  const enter = (fd: number, plan?: (plan: Plan) => Plan) =>
    cell.run(["/bin/sh", "-c", script], {
      rootfs,
      ...(plan ? { plan } : {}),
      change: (config) => {
        config.process.cwd = `/proc/self/fd/${fd}`;
      },
    });
  for (let fd = 0; fd <= 50; fd++) {
    const { code, stdout, error, pointer } = await enter(fd);
    assert.doesNotMatch(stdout, /of the host|root:/, `descriptor ${fd}`);
    if (code === undefined) assert.equal(pointer, "/process/cwd", `descriptor ${fd}: ${error}`);
    else assert.match(stdout, /^\/$/m, `descriptor ${fd} led to ${stdout}`);
  }
  // the attack is real: were the host's directories not closed in time, chdir would go there, and is caught
  let caught = 0;
  const open = without("close", (step) => step.op === "close" && ["cgroup", "whole proc"].includes(step.fd));
  for (let fd = 3; fd < 12; fd++) if (/is outside of the root/.test((await enter(fd, open)).error)) caught++;
  assert.ok(caught > 0, "no descriptor led out, so nothing was proved");
});

attack(
  "CVE-2024-21626: nor is one through another name of the same directory, or one that the caller keeps open",
  async (cell) => {
    const held = cell.folder();
    mkdirSync(join(held, "inner"));
    const outside = openSync(held, "r");
    const rootfs = cell.rootfs();
    const places = [
      "/proc/self/fd/3",
      "/proc/thread-self/fd/3",
      "/proc/1/fd/3",
      "/proc/self/fd/3/inner",
      "/proc/self/fd/3/..",
    ];
    try {
      for (const cwd of [...places, ...places.map((place) => `/bin/../${place}/`)]) {
        const plan = cell.compile(["/bin/pwd"], {
          rootfs,
          mode: { preserveFds: 1 },
          change: (config) => {
            config.process.cwd = cwd;
          },
        });
        const { code, stderr } = await runWith(cell, plan, [outside]);
        assert.notEqual(code, 0, cwd);
        assert.match(stderr, /chdir to cwd .* failed: .* is outside of the root/, cwd);
      }
    } finally {
      closeSync(outside);
    }
  },
);

attack("CVE-2016-9962: before exec process 1 cannot be looked into from the container", async (cell) => {
  /** A hook that runs inside, with the container's privileges, while process 1 is still the executor. */
  const peek = async (capAdd: readonly string[]) => {
    const rootfs = cell.rootfs();
    const { code, error } = await cell.run(["/bin/true"], {
      rootfs,
      options: { capAdd },
      change: (config) => {
        const args = ["sh", "-c", "/probe peek 1 > /seen"];
        config.hooks = { startContainer: [{ path: "/bin/sh", args }] };
      },
    });
    assert.equal(code, 0, error);
    return readFileSync(join(rootfs, "seen"), "utf8");
  };
  const seen = await peek([]);
  for (const what of ["root", "cwd", "exe", "mem", "environ"])
    assert.match(seen, new RegExp(`^${what}: (EACCES|EPERM)$`, "m"));
  assert.match(seen, /^descriptors: 0$/m);
  // who may trace any process gets there; by then no descriptor leads anywhere but into the container
  const traced = await peek(["SYS_PTRACE"]);
  assert.match(traced, /^descriptors: [1-9]/m);
  for (const line of traced.split("\n").filter((text) => text.startsWith("->")))
    assert.match(
      line,
      /^-> (\/|\/dev\/null|(pipe|socket|anon_inode):.*|\/tmp\/gantry-attack-.*\/(out|err)) /,
      traced,
    );
  assert.doesNotMatch(traced, /cgroup|holds sys/, traced);
});
