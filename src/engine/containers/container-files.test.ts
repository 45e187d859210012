import assert from "node:assert/strict";
import test from "node:test";
import { resolvConfText } from "./container-files.ts";

const host = "# made by hand\nnameserver 1.1.1.1\nsearch corp.example\noptions edns0\n";

test("resolv.conf is the host's, but for the kinds of lines that are asked for", () => {
  assert.equal(resolvConfText({}, host), host);
  assert.equal(
    resolvConfText({ dns: ["9.9.9.9"] }, host),
    "nameserver 9.9.9.9\nsearch corp.example\noptions edns0\n",
  );
  assert.equal(resolvConfText({ dnsSearch: ["."] }, host), "nameserver 1.1.1.1\noptions edns0\n");
  assert.equal(
    resolvConfText({ dnsSearch: ["a", "b"], dnsOptions: ["ndots:2", "rotate"] }, host),
    "nameserver 1.1.1.1\nsearch a b\noptions ndots:2 rotate\n",
  );
});
