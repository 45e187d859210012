import assert from "node:assert/strict";
import test from "node:test";
import type { LinuxResources } from "./resources.ts";
import { updateResources } from "./update-resources.ts";

const old: LinuxResources = {
  memory: { limit: 100, swap: 300, reservation: 50 },
  cpu: { quota: 5000, period: 10000, shares: 512, cpus: "0" },
  pids: { limit: 10 },
  hugepageLimits: [{ pageSize: "2MB", limit: 5 }],
  unified: { "memory.high": "90" },
  devices: [{ allow: false }],
};

test("what is not named stays, and is not written", () => {
  const { merged, effective } = updateResources(old, { pids: { limit: 20 } });
  assert.deepEqual(merged, { ...old, pids: { limit: 20 } });
  assert.deepEqual(effective, { pids: { limit: 20 } });
});

test("values that the kernel checks against each other are written together", () => {
  const write = (patch: LinuxResources) => updateResources(old, patch).effective;
  assert.deepEqual(write({ memory: { limit: 200 } }), { memory: { limit: 200, swap: 300 } });
  assert.deepEqual(write({ memory: { reservation: 7 } }), { memory: { reservation: 7 } });
  assert.deepEqual(write({ cpu: { quota: 2000 } }), { cpu: { quota: 2000, period: 10000 } });
  assert.deepEqual(write({ cpu: { cpus: "1" } }), { cpu: { cpus: "1" } });
  assert.deepEqual(write({ cpu: { idle: 0 } }), { cpu: { idle: 0, shares: 512 } });
});

test("a usage check that the container was made with holds for its updates", () => {
  const checked = { memory: { limit: 100, checkBeforeUpdate: true } };
  assert.deepEqual(updateResources(checked, { memory: { limit: 50 } }).effective, {
    memory: { limit: 50, checkBeforeUpdate: true },
  });
});

test("0 says nothing about memory and CPU, as programs in Go send it, and is a limit of processes", () => {
  const { merged, effective } = updateResources(old, {
    memory: { limit: 0, swap: 0 },
    cpu: { quota: 0, period: 0, shares: 0, cpus: "" },
    pids: { limit: 0 },
  });
  assert.deepEqual(merged, { ...old, pids: { limit: 0 } });
  assert.deepEqual(effective, { pids: { limit: 0 } });
});

test("lists are replaced by key, devices as a whole", () => {
  const { merged } = updateResources(old, {
    hugepageLimits: [
      { pageSize: "1GB", limit: 1 },
      { pageSize: "2MB", limit: 6 },
    ],
    unified: { "memory.low": "1" },
    devices: [],
  });
  assert.deepEqual(merged.hugepageLimits, [
    { pageSize: "1GB", limit: 1 },
    { pageSize: "2MB", limit: 6 },
  ]);
  assert.deepEqual(merged.unified, { "memory.high": "90", "memory.low": "1" });
  assert.deepEqual(merged.devices, []);
});
