/**
 * Signals by name and number (the asm-generic numbers, which x86-64 and arm64 share; signal(7)), and
 * how a process's end is told as an exit status.
 */

/** In order of their number: SIGHUP is 1, SIGSYS is 31. */
const standard = [
  "HUP",
  "INT",
  "QUIT",
  "ILL",
  "TRAP",
  "ABRT",
  "BUS",
  "FPE",
  "KILL",
  "USR1",
  "SEGV",
  "USR2",
  "PIPE",
  "ALRM",
  "TERM",
  "STKFLT",
  "CHLD",
  "CONT",
  "STOP",
  "TSTP",
  "TTIN",
  "TTOU",
  "URG",
  "XCPU",
  "XFSZ",
  "VTALRM",
  "PROF",
  "WINCH",
  "IO",
  "PWR",
  "SYS",
] as const;

const aliases: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29, UNUSED: 31 };

/** As C libraries see it: the kernel's first real-time signals 32 and 33 belong to the thread library. */
export const sigRtMin = 34;
export const sigRtMax = 64;

const byName = new Map<string, number>([
  ...standard.map((name, i) => [name, i + 1] as const),
  ...Object.entries(aliases),
  ["RTMIN", sigRtMin],
  ["RTMAX", sigRtMax],
]);

/** "TERM", "sigterm", "15", "RTMIN+3", "SIGRTMAX-1" -> the number; undefined if there is none such. */
export function parseSignal(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= sigRtMax ? number : undefined;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const known = byName.get(name);
  if (known !== undefined) return known;
  const relative = /^RT(MIN\+|MAX-)(\d{1,2})$/.exec(name);
  if (!relative) return undefined;
  const distance = Number(relative[2]);
  const number = relative[1] === "MIN+" ? sigRtMin + distance : sigRtMax - distance;
  return number >= sigRtMin && number <= sigRtMax ? number : undefined;
}

/** 15 -> "SIGTERM", 34 -> "SIGRTMIN", 36 -> "SIGRTMIN+2"; undefined for what is no signal. */
export function signalName(number: number): string | undefined {
  const name = standard[number - 1];
  if (name !== undefined) return `SIG${name}`;
  if (!Number.isInteger(number) || number < sigRtMin || number > sigRtMax) return undefined;
  if (number === sigRtMin) return "SIGRTMIN";
  return number === sigRtMax ? "SIGRTMAX" : `SIGRTMIN+${number - sigRtMin}`;
}

/** How a process ended, from the status word of wait(2). */
export type ProcessEnd =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "signaled"; readonly signal: number; readonly coreDumped: boolean };

/** Reads the status word of wait(2); undefined for a stop or continue, which is no end. */
export function processEnd(waitStatus: number): ProcessEnd | undefined {
  const signal = waitStatus & 0x7f;
  if (signal === 0) return { kind: "exited", status: (waitStatus >> 8) & 0xff };
  if (signal === 0x7f) return undefined;
  return { kind: "signaled", signal, coreDumped: (waitStatus & 0x80) !== 0 };
}

/** The exit status as shells and every container engine tell it: 128 + number for a signal. */
export function exitStatus(end: ProcessEnd): number {
  return end.kind === "exited" ? end.status : 128 + end.signal;
}

/** The signal in an exit status of the form 128+n, if it has that form. */
export function signalOfExitStatus(status: number): number | undefined {
  return status > 128 && status <= 128 + sigRtMax ? status - 128 : undefined;
}
