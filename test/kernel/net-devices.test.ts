/** linux.netDevices, each in a network namespace that plays the host's, so that nothing of the machine moves. */
import assert from "node:assert/strict";
import test from "node:test";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { type Bundle, containerId, type Json, type Runtime, unready, withBundle } from "./bundle.ts";

const skip = unready || needs("ip", "unshare");
/** Debian's runc and crun are older than netDevices (runtime-spec 1.3) and pass over it. */
const withoutReference = "gantry-oci";

const veth = "ip link add gt0 type veth peer name peer0";

/** Runs shell lines in a new network namespace; `$RUN` is the command that runs the container. */
async function onHost(runtime: Runtime, bundle: Bundle, script: string) {
  const run = `${runtime.program} --root ${runtime.root} run --bundle ${bundle.path} ${containerId()}`;
  return await command(["unshare", "-n", "sh", "-ec", script], { env: { RUN: run }, timeoutMs: 30_000 });
}

function inHost(script: string, patch: Json, host: string, check: (lines: string, stderr: string) => void) {
  return withBundle(withoutReference, script, patch, async (runtime, bundle) => {
    const { stdout, stderr } = await onHost(runtime, bundle, host);
    check(stdout, stderr);
  });
}

test("a network device moves with its permanent global addresses, is renamed and up", { skip }, () =>
  inHost(
    "ip -o addr show dev eth7 | grep -v fe80; cat /sys/class/net/eth7/flags; ls /sys/class/net",
    { linux: { netDevices: { gt0: { name: "eth7" } } } },
    `${veth}
     ip addr add 192.0.2.7/24 brd 192.0.2.255 dev gt0
     ip addr add 192.0.2.9/32 dev gt0
     ip addr add 2001:db8::7/64 dev gt0 nodad
     ip addr add 2001:db8::8/64 dev gt0 valid_lft 600 preferred_lft 600
     ip addr add 169.254.3.3/16 dev gt0 scope link
     ip link set gt0 up
     $RUN
     ls /sys/class/net > /dev/null; ip -o link show | grep -c gt0 || echo gone`,
    (stdout, stderr) => {
      assert.match(stdout, /eth7 +inet 192\.0\.2\.7\/24 brd 192\.0\.2\.255 scope global/, stderr);
      assert.match(stdout, /eth7 +inet 192\.0\.2\.9\/32/);
      assert.match(stdout, /eth7 +inet6 2001:db8::7\/64 scope global/);
      assert.doesNotMatch(stdout, /2001:db8::8|169\.254/);
      assert.match(stdout, /\n0x1003\neth7\nlo\n0\ngone\n$/);
    },
  ),
);

test("a network device without a name keeps its own, and %d is the next number that is free", { skip }, () =>
  inHost(
    "ls /sys/class/net",
    { linux: { netDevices: { gt0: {}, peer0: { name: "port%d" } } } },
    `${veth}
     $RUN`,
    (stdout, stderr) => assert.equal(stdout, "gt0\nlo\nport0\n", stderr),
  ),
);

test(
  "a device whose number is taken in the container's namespace gets its addresses all the same",
  {
    skip,
  },
  () =>
    inHost(
      "ip -o -4 addr show dev in0; ls /sys/class/net",
      { linux: { netDevices: { gt0: { name: "in0" } } } },
      // lo is 1 in every namespace; a device with the number of gt0 waits in the namespace that is joined
      `${veth}
     ip addr add 192.0.2.7/24 dev gt0
     n=$(cat /sys/class/net/gt0/ifindex 2>/dev/null || ip -o link show gt0 | cut -d: -f1)
     unshare -n sh -c 'exec sleep 60' & sleeper=$!
     until [ "$(readlink /proc/$sleeper/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
     nsenter -t $sleeper -n ip link add other0 index $n type veth peer name other1
     sed -i "s|{\\"type\\":\\"network\\"}|{\\"type\\":\\"network\\",\\"path\\":\\"/proc/$sleeper/ns/net\\"}|" $CONFIG
     $RUN; kill $sleeper`.replaceAll(
        "$CONFIG",
        "$(echo $RUN | sed 's/.*--bundle \\([^ ]*\\).*/\\1/')/config.json",
      ),
      (stdout, stderr) => {
        assert.match(stdout, /in0 +inet 192\.0\.2\.7\/24/, stderr);
        assert.match(stdout, /\nin0\nlo\nother0\nother1\n$/);
      },
    ),
);

test("a user namespace's own network takes devices too", { skip }, () => {
  const ids = [{ containerID: 0, hostID: 100000, size: 65536 }];
  const namespaces = ["pid", "network", "ipc", "uts", "mount", "user"].map((type) => ({ type }));
  return inHost(
    "ip -o -4 addr show dev gt0 | cut -d' ' -f2-7; id -u",
    { linux: { namespaces, uidMappings: ids, gidMappings: ids, netDevices: { gt0: {} } } },
    `${veth}; ip addr add 192.0.2.7/24 dev gt0; $RUN`,
    (stdout, stderr) => assert.match(stdout, /gt0 +inet 192\.0\.2\.7\/24.*\n0\n$/, stderr),
  );
});

test("hooks of the runtime find the devices moved", { skip }, () =>
  inHost(
    "cat /seen",
    {
      hooks: {
        createRuntime: [
          {
            path: "/bin/sh",
            args: [
              "sh",
              "-c",
              "pid=$(sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p'); nsenter -t $pid -n ls /proc/$pid/root/sys/class/net > /dev/null; nsenter -t $pid -n ip -o link show gt0 | grep -c UP",
            ],
            env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
          },
        ],
      },
      linux: { netDevices: { gt0: {} } },
    },
    `${veth}; $RUN 2>&1 || true`,
    (stdout) => assert.match(stdout, /^1\n/),
  ),
);

test("a start that fails puts the device back as it was, with its addresses", { skip }, () =>
  inHost(
    "",
    { process: { args: ["/no/such"] }, linux: { netDevices: { gt0: { name: "in%d" }, peer0: {} } } },
    `${veth}
     ip addr add 192.0.2.7/24 dev gt0; ip link set gt0 up
     if $RUN 2>/dev/null; then exit 3; fi
     ip -o -4 addr show dev gt0; ip -o link show | cut -d: -f2 | cut -d@ -f1 | tr -d ' '; ip -o link show peer0 | grep -c ,UP || true`,
    (stdout, stderr) => {
      assert.match(stdout, /gt0 +inet 192\.0\.2\.7\/24/, stderr);
      assert.match(stdout, /\nlo\npeer0\ngt0\n0\n$|\nlo\ngt0\npeer0\n0\n$/);
    },
  ),
);

const host = { namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })) };
const refusals: readonly (readonly [what: string, linux: Json, wanted: RegExp])[] = [
  [
    "a device that is not there",
    { netDevices: { nope0: {} } },
    /move network device: nope0.*[Nn]o such device/,
  ],
  [
    "a device without a network namespace",
    { ...host, netDevices: { gt0: {} } },
    /without a private NET namespace/,
  ],
  ["a name with a slash", { netDevices: { gt0: { name: "a/b" } } }, /invalid network device name \\"a\/b\\"/],
  [
    "a name that is too long",
    { netDevices: { gt0: { name: "x".repeat(16) } } },
    /invalid network device name/,
  ],
  ["a name with two numbers", { netDevices: { gt0: { name: "a%d%d" } } }, /invalid network device name/],
  [
    "a name of the container's own device",
    { netDevices: { gt0: { name: "lo" } } },
    /move network device: gt0.*[Ff]ile exists/,
  ],
];

for (const [what, linux, wanted] of refusals)
  test(`${what} is refused, and nothing moves`, { skip }, () =>
    withBundle(withoutReference, "echo ran", { linux }, async (runtime, bundle) => {
      const { stdout, stderr } = await onHost(
        runtime,
        bundle,
        `${veth}; ip addr add 192.0.2.7/24 dev gt0; if $RUN; then exit 3; fi; ip -o -4 addr show gt0 | cut -d' ' -f2-7`,
      );
      assert.equal(stdout, "gt0    inet 192.0.2.7/24\n", stderr);
      assert.match(stderr, wanted);
    }),
  );
