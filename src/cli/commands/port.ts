/** `gantry port`. */
import { GantryError } from "../../base/error.ts";
import { defineCommand } from "../command.ts";

export const port = defineCommand({
  name: "port",
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  summary: "List port mappings or a specific mapping for the container",
  options: {},
  minArguments: 1,
  maxArguments: 2,
  examples: [["gantry port web 80/tcp", "Where port 80 of the container is to be reached"]],
  about: "Networks with published ports are not available yet: no container has a mapping.",
  async run(context, { positionals }) {
    const [name = "", asked] = positionals;
    const engine = await context.engine();
    await engine.container(name, { signal: context.signal });
    if (asked === undefined) return 0;
    const [number = "", protocol = "tcp"] = asked.split("/");
    if (!/^\d{1,5}$/.test(number) || Number(number) > 65535 || !["tcp", "udp", "sctp"].includes(protocol))
      throw new GantryError("invalid-argument", `invalid port (${asked})`);
    throw new GantryError("not-found", `No public port '${asked}' published for ${name}`);
  },
});
