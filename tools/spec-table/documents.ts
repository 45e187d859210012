/** Other documents than the config. */
import { cli, life, row, type Section } from "./proofs.ts";

export const documents: Section = {
  title: "Other documents",
  rows: [
    row("features", cli("features lists what is known in the form of the specification")),
    row("state", life("gantry-oci: create waits, start lets go, kill ends, delete leaves nothing")),
    row(
      "spec",
      ["test/kernel/surroundings", "what spec writes is a config that runc runs too"],
      [
        "test/kernel/surroundings",
        "what spec --rootless writes is a config that a user without privileges runs, with runc too",
      ],
      cli("the example of spec is a config that the decoder takes, rootless too"),
    ),
  ],
};
