import assert from "node:assert/strict";
import test from "node:test";
import {
  capabilitiesOfMask,
  capabilityMask,
  capabilityNames,
  capabilityNumber,
  dockerDefaultCapabilities,
  lastKnownCapability,
  parseCapability,
} from "./capabilities.ts";

test("there are 41 capabilities and the last is CAP_CHECKPOINT_RESTORE", () => {
  assert.equal(capabilityNames.length, 41);
  assert.equal(new Set(capabilityNames).size, 41);
  assert.equal(lastKnownCapability, 40);
  assert.equal(capabilityNumber("CAP_SYS_ADMIN"), 21);
  assert.equal(capabilityNumber("CAP_BPF"), 39);
});

test("a capability is understood in any case, with and without its prefix", () => {
  for (const text of ["net_admin", "NET_ADMIN", "cap_net_admin", "CAP_NET_ADMIN"])
    assert.equal(parseCapability(text), "CAP_NET_ADMIN");
  for (const text of ["", "CAP_", "ALL", "NET ADMIN", "__proto__"])
    assert.equal(parseCapability(text), undefined);
});

test("Docker's default set has the mask that /proc shows in a container of Docker", () => {
  assert.equal(dockerDefaultCapabilities.length, 14);
  assert.deepEqual(capabilityMask(dockerDefaultCapabilities), { mask: 0xa80425fbn, unknown: [] });
});

test("a mask comes back as the names it was made of, and unknown names are told", () => {
  const names = ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"] as const;
  const { mask, unknown } = capabilityMask([...names, "CAP_FUTURE"]);
  assert.deepEqual(unknown, ["CAP_FUTURE"]);
  assert.deepEqual(capabilitiesOfMask(mask), names);
  assert.deepEqual(capabilitiesOfMask((1n << 64n) - 1n), capabilityNames);
});
