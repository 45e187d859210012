/** Where a syslog daemon listens, and what it is told, in the words of docker's options. Pure. */

import { GantryError } from "../../base/error.ts";
import { isIP } from "../../base/ip.ts";

export type SyslogAddress =
  | { readonly kind: "unix"; readonly path: string; readonly protocol: "datagram" | "either" }
  | {
      readonly kind: "inet";
      readonly host: string;
      readonly port: number;
      readonly protocol: "udp" | "tcp" | "tcp+tls";
    };

/** Where syslog(3) writes to. */
const defaultPath = "/dev/log";
const defaultPort = 514;

/** By number (RFC 5424, section 6.2.1). */
const facilities: readonly string[] = [
  ...["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
  ...["", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
];

function refuse(message: string): never {
  throw new GantryError("invalid-argument", message);
}

export function parseSyslogAddress(text: string | undefined): SyslogAddress {
  if (!text) return { kind: "unix", path: defaultPath, protocol: "either" };
  const match = /^(tcp|udp|unix|unixgram|tcp\+tls):\/\/(.*)$/s.exec(text);
  if (!match) refuse(`syslog-address should be in form proto://address, got ${text}`);
  const [, scheme, rest] = match as unknown as [string, string, string];
  if (scheme === "unix" || scheme === "unixgram") {
    if (!rest.startsWith("/")) refuse(`syslog-address must name an absolute path, got ${text}`);
    return { kind: "unix", path: rest, protocol: scheme === "unixgram" ? "datagram" : "either" };
  }
  const place = /^(?:\[([^\]]+)\]|([^:/]+))(?::(\d{1,5}))?\/?$/.exec(rest);
  const host = place?.[1] ?? place?.[2];
  const port = Number(place?.[3] ?? defaultPort);
  if (host === undefined || port < 1 || port > 65535 || (place?.[1] !== undefined && isIP(host) !== 6))
    refuse(`syslog-address: invalid address: ${text}`);
  return { kind: "inet", host, port, protocol: scheme as "tcp" | "udp" | "tcp+tls" };
}

export function syslogFacility(text: string | undefined): number {
  if (!text) return facilities.indexOf("daemon");
  const index = facilities.indexOf(text);
  if (index >= 0) return index;
  if (/^\d{1,2}$/.test(text) && Number(text) <= 23) return Number(text);
  return refuse("invalid syslog facility");
}

export function syslogFormat(text: string | undefined): "local" | "rfc3164" | "rfc5424" | "rfc5424micro" {
  if (!text) return "local";
  if (text === "rfc3164" || text === "rfc5424" || text === "rfc5424micro") return text;
  return refuse("invalid syslog format");
}
