/** Logs: drivers, options, formats, rotation. What docker prints is docker 28's. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { ended } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");
const limits = { skip, timeout: 120_000 };

async function logFile(box: Sandbox, name: string): Promise<string> {
  return readFileSync(await box.must(["inspect", "-f", "{{.LogPath}}", name]), "utf8");
}

test("a json-file entry is docker's, with labels, variables and tag as attributes", limits, () =>
  withBusybox(async (box) => {
    const options = [
      ...["--log-opt", "labels=team,none", "--log-opt", "labels-regex=^app\\.", "--log-opt", "env=STAGE"],
      ...["--log-opt", "env-regex=^X_", "--log-opt", "tag={{.ImageName}}/{{.Name}}/{{.ID}}"],
      ...["-l", "team=a&b", "-l", "app.x=1", "-l", "other=2", "-e", "STAGE=a b", "-e", "X_Y=<", "-e", "Z=3"],
    ];
    await box.must(["run", "--name", "app", ...options, "busybox", "sh", "-c", "printf 'a\\n<b'"]);
    const id = await box.must(["inspect", "-f", "{{.Id}}", "app"]);
    const lines = (await logFile(box, "app")).split("\n");
    const attrs = `{"STAGE":"a b","X_Y":"\\u003c","app.x":"1","tag":"busybox/app/${id.slice(0, 12)}","team":"a\\u0026b"}`;
    const time = /"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z)"\}$/.exec(lines[0]!)![1]!;
    assert.equal(lines[0], `{"log":"a\\n","stream":"stdout","attrs":${attrs},"time":"${time}"}`);
    assert.ok(lines[1]!.startsWith(`{"log":"\\u003cb","stream":"stdout","attrs":${attrs},"time":"`));
    assert.deepEqual(lines.slice(2), [""]);
    const details = `STAGE=a+b,X_Y=%3C,app.x=1,tag=busybox%2Fapp%2F${id.slice(0, 12)},team=a%26b`;
    assert.equal((await box.gantry(["logs", "--details", "app"])).stdout, `${details} a\n${details} <b`);
    const stamped = (await box.gantry(["logs", "-t", "--details", "--tail", "2", "app"])).stdout.split("\n");
    const fixed = `${time.slice(0, 19)}.${(time.slice(20, -1) || "").padEnd(9, "0")}Z`;
    assert.equal(stamped[0], `${fixed} ${details} a`);
    await box.must(["rm", "app"]);
  }),
);

test("without attributes --details prints a space, as docker does", limits, () =>
  withBusybox(async (box) => {
    await box.must(["run", "--name", "app", "busybox", "echo", "hi"]);
    assert.equal((await box.gantry(["logs", "--details", "app"])).stdout, " hi\n");
    const shown = await box.must(["inspect", "-f", "{{json .HostConfig.LogConfig}}", "app"]);
    assert.deepEqual(JSON.parse(shown), {
      Type: "json-file",
      Config: { "max-size": "16777216", "max-file": "2" },
    });
    await box.must(["rm", "app"]);
  }),
);

test("k8s-file has the lines of the CRI, with every byte", limits, () =>
  withBusybox(async (box) => {
    const script =
      "printf 'a\\377\\000b\\n'; sleep 0.02; printf err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo";
    for (const [name, driver] of [
      ["one", "k8s-file"],
      ["two", "cri"],
    ] as const) {
      await box.must(["run", "--name", name, "--log-driver", driver, "busybox", "sh", "-c", script]);
      const path = await box.must(["inspect", "-f", "{{.LogPath}}", name]);
      const text = readFileSync(path, "latin1");
      const time = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?Z";
      const out = text.split("\n").filter((line) => line.includes(" stdout "));
      assert.match(out[0]!, new RegExp(`^${time} stdout F a\xff\0b$`));
      assert.match(out[1]!, new RegExp(`^${time} stdout P x{16384}$`));
      assert.match(out[2]!, new RegExp(`^${time} stdout F x{3616}$`));
      assert.match(text, new RegExp(`^${time} stderr P err$`, "m"));
      const bytes = await box.gantry(["logs", name]);
      assert.ok(bytes.stdout.endsWith(`${"x".repeat(20_000)}\n`));
      assert.equal(bytes.stderr, "err");
      assert.equal(await box.must(["inspect", "-f", "{{.HostConfig.LogConfig.Type}}", name]), "k8s-file");
      await box.must(["rm", name]);
    }
  }),
);

test("lines longer than 16 KiB come back whole, binary output as json-file keeps it", limits, () =>
  withBusybox(async (box) => {
    const script = "head -c 100000 /dev/zero | tr '\\0' y; echo; printf '\\377\\001z'";
    await box.must(["run", "--name", "app", "busybox", "sh", "-c", script]);
    const { stdout } = await box.gantry(["logs", "app"]);
    assert.equal(stdout, `${"y".repeat(100_000)}\n\ufffd\u0001z`);
    assert.equal((await logFile(box, "app")).split("\n").length, 9);
    await box.must(["rm", "app"]);
  }),
);

test("unknown drivers and options are refused in docker's words", limits, () =>
  withBusybox(async (box) => {
    const refused: readonly (readonly [readonly string[], string])[] = [
      [["--log-driver", "splunk2"], "logger: no log driver named 'splunk2' is registered"],
      [["--log-opt", "colour=red"], "unknown log opt 'colour' for json-file log driver"],
      [["--log-opt", "colour"], "unknown log opt 'colour' for json-file log driver"],
      [
        ["--log-driver", "journald", "--log-opt", "max-size=1m"],
        "unknown log opt 'max-size' for journald log driver",
      ],
      [["--log-driver", "syslog", "--log-opt", "x=y"], "unknown log opt 'x' for syslog log driver"],
      [["--log-driver", "none", "--log-opt", "x=y"], "invalid logging opts for driver none"],
      [["--log-opt", "max-size=big"], "invalid size: 'big'"],
      [["--log-opt", "max-size=0"], "max-size must be a positive number"],
      [["--log-opt", "max-file=0"], "max-file cannot be less than 1"],
      [["--log-opt", "max-file=x"], 'strconv.Atoi: parsing "x": invalid syntax'],
      [["--log-opt", "mode=fast"], "logger: logging mode not supported: fast"],
      [
        ["--log-opt", "max-buffer-size=1m"],
        "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
      ],
      [["--log-driver", "syslog", "--log-opt", "syslog-facility=x"], "invalid syslog facility"],
      [["--log-driver", "syslog", "--log-opt", "syslog-format=x"], "invalid syslog format"],
      [
        ["--log-driver", "syslog", "--log-opt", "syslog-address=localhost"],
        "syslog-address should be in form proto://address, got localhost",
      ],
      [
        ["--log-driver", "syslog", "--log-opt", "syslog-address=unix:///no/such"],
        "stat /no/such: no such file or directory",
      ],
    ];
    for (const [options, message] of refused) {
      const { code, stderr } = await box.gantry(["run", ...options, "busybox", "true"]);
      assert.equal(code, 125, options.join(" "));
      assert.equal(stderr.split("\n")[0], `gantry: ${message}`);
    }
    const template = await box.gantry(["create", "--log-opt", "tag={{.Nothing}}", "busybox"]);
    assert.notEqual(template.code, 0);
    assert.match(template.stderr, /Nothing/);
    assert.equal(await box.must(["ps", "-aq"]), "");
  }),
);

test("none keeps nothing, and logs says so as docker does", limits, () =>
  withBusybox(async (box) => {
    await box.must(["run", "--name", "app", "--log-driver", "none", "busybox", "echo", "hi"]);
    const { code, stderr } = await box.gantry(["logs", "app"]);
    assert.deepEqual([code, stderr], [1, "gantry: configured logging driver does not support reading\n"]);
    assert.equal(
      await box.must(["inspect", "-f", "{{.LogPath}}{{.HostConfig.LogConfig.Type}}", "app"]),
      "none",
    );
    const dir = await box.must(["inspect", "-f", "{{.BundlePath}}", "app"]);
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.startsWith("log")),
      [],
    );
    await box.must(["rm", "app"]);
  }),
);

test("size and number are capped: by default, and as asked for", limits, () =>
  withBusybox(async (box) => {
    const print = (bytes: number) => `yes 0123456789abcdef | head -c ${bytes}`;
    const sizes = async (name: string) => {
      const dir = await box.must(["inspect", "-f", "{{.BundlePath}}", name]);
      return readdirSync(dir)
        .filter((file) => file.startsWith("log."))
        .sort()
        .map((file) => [file, readFileSync(join(dir, file)).length] as const);
    };
    await box.must(["run", "-d", "--name", "free", "busybox", "sh", "-c", print(30_000_000)]);
    await box.must(["wait", "free"]);
    const free = await sizes("free");
    assert.deepEqual(
      free.map(([file]) => file),
      ["log.json", "log.json.1"],
    );
    assert.ok(free.every(([, size]) => size <= 16 * 1024 * 1024 + 200));
    const run = async (name: string, ...options: string[]) => {
      await box.must(["run", "-d", "--name", name, ...options, "busybox", "sh", "-c", print(300_000)]);
      await box.must(["wait", name]);
      return await sizes(name);
    };
    const three = await run("three", "--log-opt", "max-size=10k", "--log-opt", "max-file=3");
    assert.deepEqual(
      three.map(([file]) => file),
      ["log.json", "log.json.1", "log.json.2"],
    );
    assert.ok(three.every(([, size]) => size <= 10_200));
    assert.ok(three.slice(1).every(([, size]) => size >= 10_000));
    const one = await run("one", "--log-opt", "max-size=10k");
    assert.equal(one.length, 1, "docker keeps one file where only the size is given");
    await box.must(["rm", "free", "three", "one"]);
  }),
);

const turnedOver = ["--log-opt", "max-size=20k", "--log-opt", "max-file=200"];

/** Starts a container that prints numbered lines; they begin when the function that comes back is called. `also`: behind each. */
async function runCounter(
  box: Sandbox,
  lines: number,
  options: readonly string[],
  also = ":",
): Promise<() => void> {
  const shared = join(box.dir, "shared");
  const script = `until [ -e /shared/go ]; do sleep 0.02; done
    i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); ${also}; done`;
  const mount = ["-v", `${shared}:/shared`];
  await box.must(["run", "-d", "--name", "app", ...mount, ...options, "busybox", "sh", "-c", script]);
  return () => writeFileSync(join(shared, "go"), "");
}

test("a follower loses no line over rotations", limits, () =>
  withBusybox(async (box) => {
    const go = await runCounter(box, 20_000, turnedOver);
    const follower = box.spawn(["logs", "-f", "app"]);
    let text = "";
    follower.stdout!.on("data", (chunk) => {
      text += chunk;
    });
    const end = ended(follower);
    go();
    assert.equal(await end, 0);
    assert.equal(text, Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join(""));
    const dir = await box.must(["inspect", "-f", "{{.BundlePath}}", "app"]);
    assert.ok(readdirSync(dir).filter((name) => name.startsWith("log.json.")).length > 20);
    await box.must(["rm", "app"]);
  }),
);

test("a follower that sleeps through many rotations goes on where it was", limits, () =>
  withBusybox(async (box) => {
    const go = await runCounter(box, 10_000, turnedOver);
    await box.must(["run", "--name", "noise", "busybox", "true"]);
    const follower = box.spawn(["logs", "-f", "app"]);
    let text = "";
    follower.stdout!.on("data", (chunk) => {
      text += chunk;
    });
    const end = ended(follower);
    follower.kill("SIGSTOP");
    go();
    await box.must(["wait", "app"]);
    follower.kill("SIGCONT");
    assert.equal(await end, 0);
    assert.equal(text, Array.from({ length: 10_000 }, (_, index) => `line ${index}\n`).join(""));
    await box.must(["rm", "app", "noise"]);
  }),
);

const compressed = ["compress=true", "max-size=20k", "max-file=200"].flatMap((option) => [
  "--log-opt",
  option,
]);
const counted = (lines: number) => Array.from({ length: lines }, (_, index) => `line ${index}\n`).join("");

async function logFiles(box: Sandbox): Promise<readonly string[]> {
  const dir = await box.must(["inspect", "-f", "{{.BundlePath}}", "app"]);
  return readdirSync(dir).filter((name) => name.startsWith("log.json"));
}

test(
  "with compress what was turned over is compressed, as docker names it, and read like the rest",
  limits,
  () =>
    withBusybox(async (box) => {
      const lines = 4000;
      const script = `i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); done; sleep 1000`;
      await box.must(["run", "-d", "--name", "app", ...compressed, "busybox", "sh", "-c", script]);
      const all = await until("all but the newest to be compressed", async () => {
        const files = await logFiles(box);
        const isOver = files.every((name) => name === "log.json" || /^log\.json\.\d+\.gz$/.test(name));
        return files.length > 10 &&
          isOver &&
          (await box.must(["logs", "--tail", "1", "app"])) === `line ${lines - 1}`
          ? files
          : undefined;
      });
      const dir = await box.must(["inspect", "-f", "{{.BundlePath}}", "app"]);
      const numbers = all.flatMap((name) => /^log\.json\.(\d+)\.gz$/.exec(name)?.[1] ?? []).map(Number);
      assert.deepEqual(
        [...numbers].sort((a, b) => a - b),
        Array.from({ length: numbers.length }, (_, index) => index + 1),
      );
      const oldest = gunzipSync(readFileSync(join(dir, `log.json.${Math.max(...numbers)}.gz`))).toString();
      assert.match(oldest, /^\{"log":"line 0\\n","stream":"stdout","time":"/);
      assert.ok(oldest.length >= 20_000 && oldest.endsWith("}\n"));
      assert.equal(`${await box.must(["logs", "app"])}\n`, counted(lines));
      const tail = await box.must(["logs", "--tail", "1500", "app"]);
      assert.equal(tail.split("\n")[0], `line ${lines - 1500}`);
      // the next run goes on where this one was
      await box.must(["restart", "-t", "0", "app"]);
      await until(
        "both runs to be there",
        async () => (await box.must(["logs", "app"])).split("\n").length === 2 * lines,
      );
      assert.equal(`${await box.must(["logs", "app"])}\n`, counted(lines) + counted(lines));
      await box.must(["rm", "-f", "app"]);
    }),
);

test("a follower loses no line over files that are compressed, awake or asleep", limits, () =>
  withBusybox(async (box) => {
    for (const sleeps of [false, true]) {
      rmSync(join(box.dir, "shared/go"), { force: true });
      const go = await runCounter(box, 8000, compressed, "[ $((i % 500)) -ne 0 ] || sleep 0.2");
      const follower = box.spawn(["logs", "-f", "app"]);
      let text = "";
      follower.stdout!.on("data", (chunk) => {
        text += chunk;
      });
      const end = ended(follower);
      if (sleeps) follower.kill("SIGSTOP");
      go();
      await box.must(["wait", "app"]);
      if (sleeps) follower.kill("SIGCONT");
      assert.equal(await end, 0);
      assert.equal(text, counted(8000));
      assert.ok((await logFiles(box)).some((name) => name.endsWith(".gz")));
      await box.must(["rm", "app"]);
    }
  }),
);

test("no more files are kept than were asked for, compressed or not", limits, () =>
  withBusybox(async (box) => {
    const options = ["compress=true", "max-size=10k", "max-file=3"].flatMap((option) => [
      "--log-opt",
      option,
    ]);
    const go = await runCounter(box, 6000, options);
    go();
    await box.must(["wait", "app"]);
    const names = (await logFiles(box)).filter((name) => !name.includes(".packed."));
    const numbers = new Set(names.map((name) => /^log\.json(?:\.(\d+))?(?:\.gz)?$/.exec(name)?.[1] ?? "0"));
    assert.deepEqual([...numbers].sort(), ["0", "1", "2"]);
    const lines = (await box.must(["logs", "app"])).split("\n");
    assert.equal(lines.at(-1), "line 5999");
    const first = Number(lines[0]!.slice(5));
    assert.deepEqual(
      lines,
      Array.from({ length: 6000 - first }, (_, index) => `line ${first + index}`),
    );
    await box.must(["rm", "app"]);
  }),
);

test("with a single file a follower still sees the end of every one", limits, () =>
  withBusybox(async (box) => {
    // slow enough that the follower is never a whole file behind
    const script = "for i in $(seq 1 60); do echo line $i; sleep 0.02; done";
    await box.must(["run", "-d", "--name", "app", "--log-opt", "max-size=1k", "busybox", "sh", "-c", script]);
    const follower = box.spawn(["logs", "-f", "app"]);
    let text = "";
    follower.stdout!.on("data", (chunk) => {
      text += chunk;
    });
    assert.equal(await ended(follower), 0);
    const lines = text.trim().split("\n");
    const first = Number(lines[0]!.slice(5));
    assert.deepEqual(
      lines,
      Array.from({ length: 61 - first }, (_, index) => `line ${first + index}`),
    );
    await box.must(["rm", "app"]);
  }),
);

test("--until ends a follower when its time has come", limits, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "app", "busybox", "sh", "-c", "echo up; sleep 60"]);
    await until("it is up", async () => (await box.must(["logs", "app"])) === "up");
    const time = new Date(Date.now() + 500).toISOString();
    const { code, stdout } = await box.gantry(["logs", "-f", "--until", time, "app"], { timeoutMs: 30_000 });
    assert.deepEqual([code, stdout], [0, "up\n"]);
    await box.must(["rm", "-f", "app"]);
  }),
);
