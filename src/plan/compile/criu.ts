/** criu as the child of a plan: how it becomes the program, and what it is asked. */
import type { Step } from "../plan.ts";
import { type CriuRequest, criuFds, encodeCriuRequest } from "./criu-request.ts";

/** Where criu is and where it works. */
export interface CriuSetting {
  /** Absolute path of criu. */
  readonly program: string;
  /** Its environment: it calls tar, ip and iptables by their names. */
  readonly env: readonly string[];
  /** Directories on the host. */
  readonly images: string;
  readonly work: string;
}

/** Registers of namespaces that criu gets as descriptors, in this order from criuFds.further on. */
export interface CriuNamespaces {
  readonly network?: string | undefined;
  readonly pids?: string | undefined;
}

/** What stands for a namespace from outside in images; the names are runc's, so that its images fit. */
export const externalNames = { network: "extRootNetNS", pids: "extRootPidNS" } as const;

export function becomeCriu(
  child: Step[],
  { program, env, images, work }: CriuSetting,
  { network, pids }: CriuNamespaces = {},
): void {
  const further = [network, pids].filter((register) => register !== undefined).length;
  child.push(
    { op: "serve-criu", where: "", phrase: "start criu", images, work, network, pids },
    { op: "close-descriptors", where: "", keep: criuFds.further - 3 + further },
    { op: "find-program", where: "", phrase: "start criu", name: program, directories: [] },
    { op: "exec", where: "", phrase: "start criu", args: ["criu", "swrk", String(criuFds.socket)], env },
  );
}

/** Begins a request, up to a point of criu's or, without one, to its end. */
export function askCriu(host: Step[], request: CriuRequest, point = ""): void {
  const phrase = criuPhrase(request);
  host.push({ op: "await-criu", where: "", phrase, request: encodeCriuRequest(request), point });
}

/** Lets criu go on, to its next point or to its end. */
export function continueCriu(host: Step[], request: CriuRequest, point = ""): void {
  host.push({ op: "await-criu", where: "", phrase: criuPhrase(request), request: new Uint8Array(), point });
}

/** runc's words. */
function criuPhrase({ kind }: CriuRequest): string {
  return `criu failed: type ${kind.toUpperCase().replace("-", "_")}`;
}
