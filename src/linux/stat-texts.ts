/** Texts of cgroup and network files -> members of the statistics. Numbers above 2^53 are bigints. */

export type StatNumber = number | bigint;

/** Reads a file of one cgroup; undefined where there is none. */
export type ReadStat = (file: string) => string | undefined;

export interface StatSources {
  /** The cgroup of a controller in its v1 hierarchy. */
  readonly v1: (controller: string) => ReadStat | undefined;
  /** The cgroup in the v2 tree, which on a hybrid machine stands beside those of v1. */
  readonly v2: ReadStat | undefined;
  /** Sizes of huge pages as the kernel names their files ("2MB"). */
  readonly pageSizes: readonly string[];
  /** /proc/PID/net/dev, where the network is the container's own. */
  readonly interfaces: string | undefined;
}

export type Members = Readonly<Record<string, unknown>>;

/** "max" of a limit, as runc tells it. */
export const noLimit = 2n ** 64n - 1n;

export function statNumber(text: string | undefined): StatNumber {
  const word = (text ?? "").trim();
  if (word === "max") return noLimit;
  if (!/^-?\d+$/.test(word)) return 0;
  const value = Number(word);
  return Number.isSafeInteger(value) ? value : BigInt(word);
}

/** Adds numbers of either kind. */
export function addStats(a: StatNumber, b: StatNumber): StatNumber {
  const sum = BigInt(a) + BigInt(b);
  return sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}

/** Without the members that say nothing. */
export function withoutEmpty(members: Members): Members {
  return Object.fromEntries(
    Object.entries(members).filter(
      ([, value]) => value !== undefined && value !== 0 && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

/** Lines of a name and a number: cpu.stat, memory.stat, memory.events. */
export function flatKeyed(text: string | undefined): Readonly<Record<string, StatNumber>> {
  const pairs: [string, StatNumber][] = [];
  for (const line of (text ?? "").split("\n")) {
    const [name, value, more] = line.split(" ");
    if (name && value !== undefined && more === undefined) pairs.push([name, statNumber(value)]);
  }
  return Object.fromEntries(pairs);
}

/** "0-2,5" -> 0, 1, 2, 5. */
export function listOf(text: string | undefined): readonly number[] {
  return (text ?? "")
    .trim()
    .split(",")
    .filter((part) => /^\d+(-\d+)?$/.test(part))
    .flatMap((part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
    });
}

/** Pressure stall information (kernel documentation, accounting/psi). */
export function pressureOf(text: string | undefined): Members | undefined {
  if (!text?.includes("avg10=")) return undefined;
  const line = (kind: string) => {
    const values = new RegExp(`^${kind} avg10=(\\S+) avg60=(\\S+) avg300=(\\S+) total=(\\d+)`, "m").exec(
      text,
    );
    const [, avg10 = "0", avg60 = "0", avg300 = "0", total = "0"] = values ?? [];
    return {
      avg10: Number(avg10),
      avg60: Number(avg60),
      avg300: Number(avg300),
      total: statNumber(total),
    };
  };
  return { some: line("some"), full: line("full") };
}

/** Counters of network interfaces but the loopback, from the text of /proc/PID/net/dev. */
export function interfacesOf(text: string | undefined): readonly Members[] | null {
  if (text === undefined) return null;
  return text.split("\n").flatMap((line) => {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).trim();
    if (colon < 0 || name === "lo" || name.includes("|")) return [];
    const values = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(statNumber);
    const [received, sent] = [values.slice(0, 4), values.slice(8, 12)];
    const [RxBytes = 0, RxPackets = 0, RxErrors = 0, RxDropped = 0] = received;
    const [TxBytes = 0, TxPackets = 0, TxErrors = 0, TxDropped = 0] = sent;
    return [{ Name: name, RxBytes, RxPackets, RxErrors, RxDropped, TxBytes, TxPackets, TxErrors, TxDropped }];
  });
}
