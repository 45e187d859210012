/**
 * A cell: a place in which hostile containers are started the way that the product starts them: Docker's
 * default configuration from src/bundle, compiled by src/plan, run by the real executor. A test may change
 * the configuration (what an attacker writes), the root file system (what an image brings) and the plan
 * (to show that the attack works once the defence is taken out).
 */
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { GantryError } from "../../src/base/error.ts";
import type { ContainerOptions } from "../../src/bundle/container-options.ts";
import { buildRuntimeConfig } from "../../src/bundle/runtime-config.ts";
import { readHostFacts } from "../../src/host/facts.ts";
import { findExecutor } from "../../src/launch/executor.ts";
import { runPlan } from "../../src/launch/launch.ts";
import { capabilitiesOfMask } from "../../src/linux/capabilities.ts";
import { compileContainer } from "../../src/plan/compile/container.ts";
import type { OciMode } from "../../src/plan/compile/request.ts";
import { withFilter } from "../../src/plan/compile/seccomp.ts";
import type { Plan, Step } from "../../src/plan/plan.ts";
import { parseRuntimeConfig } from "../../src/spec/runtime-config.ts";
import { command, must } from "../lib/command.ts";
import { fixtures, once } from "../lib/fixtures.ts";
import { type Leftover, leftovers, snapshot, sweep } from "../lib/leftovers.ts";
import { needs } from "../lib/needs.ts";
import { top } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

/** Declares a test that gets a cell of its own; `wanted` are further needs, such as "runc". */
export function attack(
  name: string,
  body: (cell: Cell) => Promise<void>,
  ...wanted: readonly string[]
): void {
  test(name, { skip: needs("root", "/bin/busybox", "cc", ...wanted) }, () => inCell(body));
}

/** A config.json before it is decoded: an attacker may write anything. */
// biome-ignore lint/suspicious/noExplicitAny: the point of these documents is that they have no type
export type RawConfig = Record<string, any>;

/** How a container ended, or why it never began. */
export interface Ending {
  /** Exit status of the program; undefined if the program never ran. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Message of the refusal, "" if the program ran. */
  readonly error: string;
  /** JSON pointer that the refusal names. */
  readonly pointer: string;
  /** Operation of the plan that failed, "" if none did. */
  readonly op: string;
}

export interface RunOptions {
  /** What a user asks the engine for. */
  readonly options?: ContainerOptions;
  readonly user?: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  /** An attacker's own words in the finished config.json, which is then decoded like any bundle. */
  readonly change?: (config: RawConfig) => void;
  /** Takes a defence out, to show that the attack is real. */
  readonly plan?: (plan: Plan) => Plan;
  readonly mode?: Partial<OciMode>;
  readonly timeoutMs?: number;
  /** A fresh busybox tree unless told. */
  readonly rootfs?: string;
}

const applets =
  "sh cat ls echo sleep true false mount umount mkdir ln rm mv id pwd readlink stat grep head mknod dd hostname find sed wc timeout env kill";

/** The static programs of every root: busybox, and the probe of this folder. */
export async function programs(): Promise<{ busybox: string; probe: string }> {
  const source = join(top, "test/attack/probe.c");
  const stamp = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 12);
  return {
    busybox: await once(join(fixtures, "attack-busybox"), async (temporary) => {
      await must(["cp", "/bin/busybox", temporary]);
    }),
    probe: await once(join(fixtures, `attack-probe-${stamp}`), async (temporary) => {
      await must(["cc", "-O1", "-static", "-Wall", "-Wextra", "-o", temporary, source]);
    }),
  };
}

export class Cell {
  /** Everything below it goes at the end. */
  readonly dir: string;
  /** Begins the names of this cell's containers and control groups. */
  readonly name = `attack-${randomBytes(5).toString("hex")}`;
  /** A copy of the executor: an attack that succeeds harms no more than this test. */
  readonly executor: string;
  readonly #programs: { busybox: string; probe: string };
  #count = 0;

  constructor(dir: string, programs: { busybox: string; probe: string }) {
    this.dir = dir;
    this.executor = join(dir, "gantry-executor");
    copyFileSync(findExecutor(), this.executor);
    this.#programs = programs;
  }

  next(): string {
    this.#count++;
    return `${this.name}-${this.#count}`;
  }

  /** A fresh folder below `dir`. */
  folder(): string {
    const path = join(this.dir, this.next());
    mkdirSync(path);
    return path;
  }

  /** A fresh root file system: busybox, /probe and the usual folders. */
  rootfs(): string {
    const root = this.folder();
    for (const dir of ["bin", "etc", "root", "proc", "sys", "dev", "tmp", "mnt"]) mkdirSync(join(root, dir));
    copyFileSync(this.#programs.busybox, join(root, "bin/busybox"));
    copyFileSync(this.#programs.probe, join(root, "probe"));
    for (const applet of applets.split(" ")) symlinkSync("busybox", join(root, "bin", applet));
    writeFileSync(
      join(root, "etc/passwd"),
      "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    );
    writeFileSync(join(root, "etc/group"), "root:x:0:\nuser:x:1000:\n");
    return root;
  }

  /** The config.json that Gantry would write for `args` by Docker's defaults, then changed. */
  config(
    id: string,
    rootfs: string,
    args: readonly string[],
    { options, user, change }: RunOptions,
  ): RawConfig {
    const facts = readHostFacts();
    const { config } = buildRuntimeConfig({
      id,
      image: { Env: ["PATH=/bin"] },
      options: { network: "none", ...options, command: args },
      user: user ?? { uid: 0, gid: 0, additionalGids: [0] },
      host: {
        architecture: facts.architecture,
        kernel: [facts.kernel.major, facts.kernel.minor],
        capabilities: capabilitiesOfMask(facts.capabilities),
        hostname: hostname(),
        swapLimit: false,
      },
      rootPath: rootfs,
    });
    const raw = JSON.parse(JSON.stringify(config)) as RawConfig;
    raw.linux.cgroupsPath = `/${id}`;
    change?.(raw);
    return raw;
  }

  compile(args: readonly string[], given: RunOptions = {}): Plan {
    const id = this.next();
    const bundle = this.folder();
    const rootfs = given.rootfs ?? this.rootfs();
    const raw = this.config(id, rootfs, args, given);
    const state = join(this.folder(), "state");
    mkdirSync(state);
    const plan = compileContainer(
      withFilter({
        id,
        config: parseRuntimeConfig(JSON.stringify(raw)),
        bundle,
        facts: readHostFacts(),
        mode: { kind: "oci", state, awaitStart: false, foreground: true, ...given.mode },
      }),
    );
    return given.plan?.(plan) ?? plan;
  }

  /** Starts a container in the foreground and waits for its end; a refusal is an ending too. */
  async run(args: readonly string[], given: RunOptions = {}): Promise<Ending> {
    let plan: Plan;
    try {
      plan = this.compile(args, given);
    } catch (error) {
      return refusal(error);
    }
    return await this.runPlan(plan, given.timeoutMs);
  }

  async runPlan(plan: Plan, timeoutMs = 20_000): Promise<Ending> {
    const files = ["out", "err"].map((name) => join(this.folder(), name));
    const fds = files.map((file) => openSync(file, "w"));
    const texts = () => files.map((file) => readFileSync(file, "utf8")) as [string, string];
    try {
      const running = runPlan(plan, {
        executor: this.executor,
        stdio: ["ignore", fds[0]!, fds[1]!],
        env: { GANTRY_TEST_DIR: this.dir },
      });
      const { status } = await within(
        timeoutMs,
        running,
        `a container that prints ${JSON.stringify(texts())}`,
      );
      const [stdout, stderr] = texts();
      return { code: status, stdout, stderr, error: "", pointer: "", op: "" };
    } catch (error) {
      const [stdout, stderr] = texts();
      return { ...refusal(error), stdout, stderr };
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  }

  /** A bundle on disk, for command lines. */
  bundle(id: string, args: readonly string[], given: RunOptions = {}): string {
    const bundle = this.folder();
    const raw = this.config(id, given.rootfs ?? this.rootfs(), args, given);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(raw));
    return bundle;
  }

  /** The reference: the same config.json under runc. */
  async runc(args: readonly string[], given: RunOptions = {}): Promise<Ending> {
    const id = this.next();
    const { code, stdout, stderr } = await command(["runc", "--root", this.folder(), "run", id], {
      cwd: this.bundle(id, args, given),
      env: { GANTRY_TEST_DIR: this.dir },
      timeoutMs: given.timeoutMs ?? 20_000,
    });
    const error = /level=error msg="(.*)"/.exec(stderr)?.[1] ?? "";
    return { code: error ? undefined : code, stdout, stderr, error, pointer: "", op: "" };
  }
}

function refusal(error: unknown): Ending {
  if (!(error instanceof GantryError)) throw error;
  const { pointer = "", op = "" } = error.detail as { pointer?: string; op?: string };
  return { code: undefined, stdout: "", stderr: "", error: error.message, pointer, op };
}

async function within<T>(timeoutMs: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a test in a fresh cell; fails if anything of the cell is left on the machine. */
async function inCell(body: (cell: Cell) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "gantry-attack-"));
  const before = snapshot(dir);
  const cell = new Cell(dir, await programs());
  // other tests may run beside this one: control groups that do not bear this cell's name are theirs
  const own = async () =>
    (await leftovers(before, 0)).filter(
      ({ kind, name }) => kind === "mount" || kind === "process" || name.includes(cell.name),
    );
  let left: Leftover[] = [];
  try {
    await body(cell);
    const gone = async () => {
      left = await own();
      return left.length === 0;
    };
    await until("everything is gone", gone, 3000).catch(() => {});
  } finally {
    await sweep(await own());
    rmSync(dir, { recursive: true, force: true });
  }
  if (left.length > 0)
    throw new Error(
      `left behind:\n${left.map(({ kind, name, about }) => `  ${kind} ${name} (${about})`).join("\n")}`,
    );
}

/** A plan without the steps of one operation. */
export function without(op: Step["op"], only: (step: Step) => boolean = () => true): (plan: Plan) => Plan {
  const keep = (steps: readonly Step[]) => steps.filter((step) => !(step.op === op && only(step)));
  return (plan) => ({ ...plan, host: keep(plan.host), child: keep(plan.child) });
}
