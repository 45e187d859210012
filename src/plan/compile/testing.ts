/** For tests. */
import type { CriuFlags } from "./criu-request.ts";

/** As criu is asked where no flag is given. */
export const plainCriuFlags: CriuFlags = {
  tcpEstablished: false,
  tcpSkipInFlight: false,
  tcpClose: false,
  linkRemap: false,
  extUnixSk: false,
  shellJob: false,
  lazyPages: false,
  fileLocks: false,
  autoDedup: false,
  cgroupMode: "soft",
  emptyNamespaces: 0,
};
