/** The files of /etc that every container gets of its own: names of hosts, its own name, where to ask for others. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { wrapErrno } from "../../base/error.ts";
import type { ContainerOptions } from "../../bundle/container-options.ts";
import type { ContainerFiles } from "../../bundle/mounts.ts";

const loopback = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::0\tip6-localnet",
  "ff00::0\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
].join("\n");

function hostFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // a host without it has none to hand on
    return "";
  }
}

/** Where they lie: with the run-time state, since they are written anew at every start. */
export function containerFiles(dir: string): Required<ContainerFiles> {
  return { hosts: join(dir, "hosts"), hostname: join(dir, "hostname"), resolvConf: join(dir, "resolv.conf") };
}

export function writeContainerFiles(dir: string, options: ContainerOptions, hostname: string): void {
  const files = containerFiles(dir);
  const texts: readonly (readonly [string | undefined, string])[] = [
    [files.hosts, hostsText(options)],
    [files.hostname, `${hostname}\n`],
    [files.resolvConf, resolvConfText(options, hostFile("/etc/resolv.conf"))],
  ];
  for (const [path, text] of texts) {
    if (path === undefined) continue;
    try {
      writeFileSync(path, text, { mode: 0o644 });
    } catch (error) {
      throw wrapErrno(error, "write", path);
    }
  }
}

function hostsText({ network, extraHosts = [] }: ContainerOptions): string {
  const own = network === "host" ? hostFile("/etc/hosts") : `${loopback}\n`;
  const lines = extraHosts.map((entry) => {
    const colon = entry.indexOf(":");
    return `${entry.slice(colon + 1)}\t${entry.slice(0, colon)}\n`;
  });
  return [own.endsWith("\n") || own === "" ? own : `${own}\n`, ...lines].join("");
}

/** The host's, but for the kinds of lines that are asked for (resolv.conf(5)). */
export function resolvConfText(options: ContainerOptions, host: string): string {
  const { dns = [], dnsSearch = [], dnsOptions = [] } = options;
  if (dns.length + dnsSearch.length + dnsOptions.length === 0) return host;
  const hostLines = (keyword: string) =>
    host.split("\n").filter((line) => new RegExp(`^\\s*${keyword}\\s`).test(line));
  const search = dnsSearch.filter((domain) => domain !== ".");
  const lines = [
    ...(dns.length > 0 ? dns.map((server) => `nameserver ${server}`) : hostLines("nameserver")),
    ...(dnsSearch.length === 0 ? [...hostLines("search"), ...hostLines("domain")] : []),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...(dnsOptions.length > 0 ? [`options ${dnsOptions.join(" ")}`] : hostLines("options")),
  ];
  return `${lines.join("\n")}\n`;
}
