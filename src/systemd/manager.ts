/**
 * systemd over D-Bus, as far as a container's unit needs it (org.freedesktop.systemd1(5)). Starting and stopping are
 * jobs: the call hands back the job, and the signal JobRemoved tells of its end, which may come before the reply.
 */
import { existsSync } from "node:fs";
import { GantryError, isGantryError } from "../base/error.ts";
import type { UnitProperty } from "../linux/systemd-properties.ts";
import type { DBusMessage } from "../wire/dbus-message.ts";
import type { DBusValue, DBusVariant } from "../wire/dbus-types.ts";
import { type BusAddress, busAddresses } from "./addresses.ts";
import { DBusConnection, type MethodCall, within } from "./connection.ts";

const systemd = "org.freedesktop.systemd1";
const managerPath = "/org/freedesktop/systemd1";
const managerInterface = `${systemd}.Manager`;
const bus = "org.freedesktop.DBus";
const jobMs = 30_000;

interface Waiter {
  readonly resolve: (result: string) => void;
  readonly reject: (error: unknown) => void;
}

export class SystemdManager implements AsyncDisposable {
  readonly #connection: DBusConnection;
  readonly #onBus: boolean;
  /** Results of jobs that have ended since the last was asked for. */
  readonly #ended = new Map<string, string>();
  readonly #waiting = new Map<string, Waiter>();
  /** The name on the bus that systemd's messages come from. */
  #sender: string | undefined;
  /** Of systemd: 252. */
  version = 0;
  /** The manager's own cgroup: "" for the system's, "/user.slice/…/user@1000.service" for a user's. */
  controlGroup = "";

  private constructor(connection: DBusConnection, onBus: boolean) {
    this.#connection = connection;
    this.#onBus = onBus;
    connection.onSignal = (message) => this.#signal(message);
    connection.onEnd = (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
    };
  }

  /** Connects to the system's systemd, or to the one of the user who runs this. */
  static async open(options: {
    readonly user: boolean;
    readonly env: Readonly<Record<string, string | undefined>>;
  }): Promise<SystemdManager> {
    if (!existsSync("/run/systemd/system"))
      throw new GantryError(
        "failed-precondition",
        "systemd not running on this host, cannot use systemd cgroups manager",
      );
    return await openFirst(busAddresses(options.user, options.env), SystemdManager.connect);
  }

  static async connect(address: BusAddress): Promise<SystemdManager> {
    const connection = await DBusConnection.open(address.path);
    const manager = new SystemdManager(connection, address.kind === "bus");
    try {
      if (manager.#onBus) await manager.#subscribe();
      manager.version = versionNumber(await manager.#property("Version"));
      manager.controlGroup = (await manager.#property("ControlGroup")).replace(/\/$/, "");
      return manager;
    } catch (error) {
      await manager[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts a transient unit and waits until it is there. A failed unit of that name makes room for it. */
  async startTransientUnit(name: string, properties: readonly UnitProperty[]): Promise<void> {
    const start = () =>
      this.#job("StartTransientUnit", "ssa(sv)a(sa(sv))", [name, "replace", encoded(properties), []]);
    let result: string;
    try {
      result = await start();
    } catch (error) {
      if (!isGantryError(error, "already-exists")) throw error;
      await this.resetFailedUnit(name);
      result = await start();
    }
    if (result === "done") return;
    await this.resetFailedUnit(name);
    throw new GantryError("failed-precondition", `error creating systemd unit "${name}": got "${result}"`);
  }

  /** Ends a unit and what runs in it; one that does not exist is fine. */
  async stopUnit(name: string): Promise<void> {
    try {
      await this.#job("StopUnit", "ss", [name, "replace"]);
    } catch (error) {
      if (!isGantryError(error, "not-found")) throw error;
    }
    await this.resetFailedUnit(name);
  }

  /** Whether there is a unit of that name that has not ended. */
  async isLiving(name: string): Promise<boolean> {
    try {
      const [path] = (await this.#call({ member: "GetUnit", signature: "s", body: [name] })).body;
      const state = await this.#property("ActiveState", `${systemd}.Unit`, String(path));
      return state !== "inactive" && state !== "failed";
    } catch (error) {
      if (isGantryError(error, "not-found")) return false;
      throw error;
    }
  }

  /** Lets a failed unit go; one that does not exist, or has not failed, is fine. */
  async resetFailedUnit(name: string): Promise<void> {
    try {
      await this.#call({ member: "ResetFailedUnit", signature: "s", body: [name] });
    } catch (error) {
      if (!isGantryError(error, "not-found")) throw error;
    }
  }

  /** Changes a unit that is there, until it ends. */
  async setUnitProperties(name: string, properties: readonly UnitProperty[]): Promise<void> {
    const body = [name, true, encoded(properties)];
    await this.#call({ member: "SetUnitProperties", signature: "sba(sv)", body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #subscribe(): Promise<void> {
    const call = (member: string, rule?: string) =>
      this.#connection.call({
        ...{ destination: bus, path: "/org/freedesktop/DBus", interface: bus, member },
        ...(rule === undefined ? {} : { signature: "s", body: [rule] }),
      });
    await call("Hello");
    const signal = `path='${managerPath}',interface='${managerInterface}',member='JobRemoved'`;
    await call("AddMatch", `type='signal',sender='${systemd}',${signal}`);
    this.#sender = (await this.#call({ member: "Subscribe" })).sender;
  }

  async #property(name: string, of = managerInterface, path = managerPath): Promise<string> {
    const { body } = await this.#call({
      ...{ path, interface: "org.freedesktop.DBus.Properties" },
      ...{ member: "Get", signature: "ss", body: [of, name] },
    });
    const value = (body[0] as DBusVariant | undefined)?.value;
    if (typeof value !== "string")
      throw new GantryError("data-loss", `read systemd's property ${name}: it is no string`);
    return value;
  }

  async #call(
    method: Pick<MethodCall, "member" | "signature" | "body"> & {
      readonly interface?: string;
      readonly path?: string;
    },
  ) {
    return await this.#connection.call({
      ...(this.#onBus ? { destination: systemd } : {}),
      ...{ path: managerPath, interface: managerInterface },
      ...method,
    });
  }

  /** Calls a method that hands back a job; says how the job ended. */
  async #job(member: string, signature: string, body: readonly DBusValue[]): Promise<string> {
    this.#ended.clear();
    const reply = await this.#call({ member, signature, body });
    const [job] = reply.body;
    if (typeof job !== "string") throw new GantryError("data-loss", `${member}: systemd named no job`);
    const known = this.#ended.get(job);
    if (known !== undefined) return known;
    const ended = new Promise<string>((resolve, reject) => this.#waiting.set(job, { resolve, reject }));
    try {
      return await within(jobMs, `wait for the end of ${member} of ${String(body[0])}`, ended);
    } finally {
      this.#waiting.delete(job);
    }
  }

  #signal({ path, interface: from, member, signature, sender, body }: DBusMessage): void {
    if (path !== managerPath || from !== managerInterface || member !== "JobRemoved") return;
    // anybody on a bus may send a signal to us alone
    if (signature !== "uoss" || (this.#onBus && sender !== this.#sender)) return;
    const [, job, , result] = body as [number, string, string, string];
    this.#ended.set(job, result);
    this.#waiting.get(job)?.resolve(result);
  }
}

/** Tries one after the other; fails with the reasons of all. */
async function openFirst(
  addresses: readonly BusAddress[],
  open: (address: BusAddress) => Promise<SystemdManager>,
): Promise<SystemdManager> {
  const reasons: string[] = [];
  for (const address of addresses) {
    try {
      return await open(address);
    } catch (error) {
      if (!(error instanceof GantryError)) throw error;
      reasons.push(error.message);
    }
  }
  throw new GantryError("unavailable", `reach systemd: ${reasons.join("; ")}`);
}

/** "252.39-1~deb12u1" -> 252; of an unknown form: an old one. */
function versionNumber(text: string): number {
  return Number(/^v?(\d{1,5})/.exec(text)?.[1] ?? 0);
}

function encoded(properties: readonly UnitProperty[]): readonly DBusValue[] {
  return properties.map(({ name, signature, value }) => [name, { signature, value }]);
}
