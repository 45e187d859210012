/** A plan in the making: three lists of steps, and the meeting points of host side and child. */
import { resolve } from "node:path";
import type { RuntimeConfig } from "../../spec/runtime-config.ts";
import type { RuntimeLinux } from "../../spec/runtime-linux.ts";
import type { HostFacts } from "../host-facts.ts";
import { meetings } from "../meetings.ts";
import type { Plan, Step } from "../plan.ts";
import type { Donor, PlanRequest } from "./request.ts";

/** Register that holds the root of the container, in the child. */
export const rootRegister = "root";
/** Register of a private proc with the processes alone, in the child. */
export const procRegister = "proc";

export class Draft<R extends PlanRequest = PlanRequest> {
  readonly host: Step[] = [];
  readonly child: Step[] = [];
  readonly cleanup: Step[] = [];
  readonly request: R;
  #hasProc = false;
  #enterCgroups: readonly Step[] = [];
  #steps = new Set<string>();

  constructor(request: R) {
    this.request = request;
  }

  get config(): RuntimeConfig {
    return this.request.config;
  }

  get linux(): RuntimeLinux {
    return this.request.config.linux ?? {};
  }

  get facts(): HostFacts {
    return this.request.facts;
  }

  warn(message: string, pointer: string): void {
    this.request.warn?.(message, pointer);
  }

  /** A path of the config, relative to the bundle. */
  path(path: string): string {
    return resolve(this.request.bundle, path);
  }

  /** The container that stands in the place of a path. */
  donor(path: string): Donor | undefined {
    const { mode } = this.request;
    return mode.kind === "engine" ? mode.donors?.get(path) : undefined;
  }

  /** True the first time that `name` is asked for. */
  once(name: string): boolean {
    if (this.#steps.has(name)) return false;
    this.#steps.add(name);
    return true;
  }

  /** The register of a private proc, opened when first asked for. Before pivot only. */
  openProc(): void {
    if (this.#hasProc) return;
    this.#hasProc = true;
    this.child.push({ op: "open-proc", where: "", pids: 1, fd: procRegister });
  }

  /** Before anything of the container's own runs, which shall not reach it. */
  closeProc(): void {
    if (!this.#hasProc) return;
    this.#hasProc = false;
    this.child.push({ op: "close", where: "", fd: procRegister });
  }

  /** The host side says go on, the child waits for it, at the place where either list is now. */
  meet(point: keyof typeof meetings): void {
    this.host.push({ op: "tell-child", where: "", step: meetings[point] });
    this.child.push({ op: "await-host", where: "", step: meetings[point] });
  }

  /** The child waits, once, until its cgroups are ready, and is in them then. */
  awaitCgroups(): void {
    this.child.push(...this.#enterCgroups);
    this.#enterCgroups = [];
  }

  /** The host side has told the child that its cgroups are ready; `enter` is what is left to the child then. */
  tellCgroups(enter: readonly Step[]): void {
    this.host.push({ op: "tell-child", where: "", step: meetings.cgroups });
    this.#enterCgroups = [{ op: "await-host", where: "", step: meetings.cgroups }, ...enter];
  }

  finish(): Plan {
    return { host: this.host, child: this.child, cleanup: this.cleanup };
  }
}
