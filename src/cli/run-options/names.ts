/** `--add-host`, `--dns…`, `--expose`: names and addresses as docker's options write them. Pure. */
import { isIP } from "../../base/ip.ts";

/** `name:address`, `name=address`, `name:[::1]` -> `name:address`. */
export function parseExtraHost(text: string): string {
  const parts = /^([^=:]+)[=:](.+)$/.exec(text);
  if (!parts) throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  const [, name, given] = parts as unknown as [string, string, string];
  const address = /^\[.*\]$/.test(given) ? given.slice(1, -1) : given;
  if (address === "host-gateway")
    throw new Error(
      "host-gateway is not available yet: there are no bridge networks whose gateway it could be",
    );
  if (isIP(address) === 0) throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  return `${name}:${address}`;
}

export function parseDns(text: string): string {
  if (isIP(text.trim()) === 0) throw new Error(`IP address is not correctly formatted: ${text}`);
  return text.trim();
}

export function parseDnsSearch(text: string): string {
  const domain = text.trim();
  if (domain === "." || /^(?=.{1,255}$)([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.?)+$/.test(domain))
    return domain;
  throw new Error(`${domain} is not a valid domain`);
}

/** `80`, `53/udp`, `8000-8003/tcp` -> each port with its protocol. */
export function parseExpose(text: string): readonly string[] {
  const parts = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const first = Number(parts?.[1]);
  const last = Number(parts?.[2] ?? parts?.[1]);
  if (!parts || last > 65535 || first > last) throw new Error(`invalid range format for --expose: ${text}`);
  const protocol = (parts[3] ?? "tcp").toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}
