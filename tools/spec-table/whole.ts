/** The config as a whole. */
import { container, decoder, fields, hooks, life, noted, row, type Section } from "./proofs.ts";

export const whole: Section = {
  title: "The config as a whole",
  rows: [
    row("/ociVersion", decoder("versions 1.x are understood, pre-releases too, others are refused")),
    row("/root", decoder('{"root":{}} is refused with its pointer')),
    row(
      "/root/path",
      container("the host name is the container's"),
      fields("a root that is not there is an error"),
    ),
    row("/root/readonly", container("a read-only root cannot be written, a mount in it can")),
    row(
      "/hostname",
      container("the host name is the container's"),
      life("a host name without a namespace is refused in runc's words"),
    ),
    row("/domainname", fields("the domain name is the container's")),
    row(
      "/annotations",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
      decoder('{"annotations":{"":"x"}} is refused with its pointer'),
    ),
    noted(
      "members that nobody knows",
      "/*",
      decoder("a config keeps what it says and loses what nobody knows"),
    ),
  ],
};
