/** Programs of this machine for a virtual one: files and modules for bootMachine. */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { command } from "../lib/command.ts";
import { programPath } from "../lib/needs.ts";

/** Each goes to /usr/bin there, with its libraries where it looks for them. */
export async function programFiles(names: readonly string[]): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const libraries = async (path: string) => {
    const { stdout } = await command(["ldd", path]);
    for (const match of stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)) files[match[1]!] = match[1]!;
  };
  for (const name of names) {
    const path = programPath(name);
    if (path === undefined) throw new Error(`copy ${name}: not on this machine`);
    files[`/usr/bin/${name}`] = realpathSync(path);
    await libraries(path);
  }
  const plugins = "/usr/lib/x86_64-linux-gnu/xtables";
  if (names.includes("iptables-restore") && existsSync(plugins))
    for (const name of readdirSync(plugins))
      if (/^lib(xt|ipt|ip6t)_(mark|standard)\.so$/.test(name)) {
        files[join(plugins, name)] = realpathSync(join(plugins, name));
        await libraries(join(plugins, name));
      }
  return files;
}

/** What criu calls: it locks the network with iptables, and keeps the content of a tmpfs as a tar file. */
export const criuPrograms = [
  ...["criu", "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"],
  ...["ip", "tar", "gzip"],
];

/** Kernel modules by which criu asks for sockets and their connections. */
export const criuModules = [
  ...["unix_diag", "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "af_packet_diag", "netlink_diag"],
  ...["nf_tables", "nft_compat", "xt_mark", "nf_conntrack", "nf_conntrack_netlink"],
];
