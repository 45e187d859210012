/** Commands on a terminal of their own. */
import { gantryProgram, type Sandbox } from "../lib/sandbox.ts";
import { Peer, terminalPeer } from "../lib/terminal-peer.ts";

/** Runs gantry on a terminal of 40 rows and 120 columns. */
async function onTerminal(box: Sandbox, args: readonly string[], which = "012"): Promise<Peer> {
  const gantry = [gantryProgram, "--root", box.root, "--state", box.state, ...args];
  return new Peer(await terminalPeer.build(), ["drive", which, "40", "120", ...gantry], { env: box.env });
}

/** The same for a test that ends it whatever happens. */
export async function driving(
  box: Sandbox,
  args: readonly string[],
  body: (peer: Peer) => Promise<void>,
  which?: string,
): Promise<void> {
  const peer = await onTerminal(box, args, which);
  try {
    await body(peer);
  } finally {
    peer.end();
  }
}

/** Its first line is the driver's. */
export const shown = (peer: Peer) => peer.output.replace(/^.*\n/, "");
