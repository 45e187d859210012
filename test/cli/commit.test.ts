/** diff, commit and export: what a container has changed, as docker tells of it and keeps it. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { command } from "../lib/command.ts";
import { needs } from "../lib/needs.ts";
import { gantryProgram, type Sandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { withBusybox } from "./busybox.ts";

const skip = needs("root");

const changesScript = [
  "echo more >> /etc/passwd; rm /etc/group; mkdir -p /new/deep; echo x > /new/deep/file; ln /new/deep/file /new/twin",
  "rm -r /var/run /home; mkdir /home; echo y > /home/other; ln -s /new /etc/link; chmod 711 /root; mkfifo /new/fifo",
  "touch /tmp/passing; rm /tmp/passing; chown 5:6 /new/deep; echo in > /bound/file",
].join("; ");

async function change(box: Sandbox, running: boolean): Promise<void> {
  mkdirSync(join(box.dir, "bound"));
  const options = ["--name", "work", "-v", `${box.dir}/bound:/bound`, "--tmpfs", "/run/deep/tmp"];
  const script = `${changesScript}; echo ready; ${running ? "sleep 1000" : "true"}`;
  await box.must(["run", "-d", ...options, "busybox", "sh", "-c", script]);
  await until("it is ready", async () => (await box.must(["logs", "work"])).includes("ready"));
  if (!running) await box.must(["wait", "work"]);
}

const expected = `C /etc
D /etc/group
A /etc/link
C /etc/passwd
C /home
A /home/other
D /home/user
A /new
A /new/deep
A /new/deep/file
A /new/fifo
A /new/twin
C /root
C /tmp
C /var
D /var/run`;

/** A stream of the command line through tar's listing. */
async function listing(box: Sandbox, verb: string): Promise<string> {
  const { code, stdout, stderr } = await command(
    [
      "sh",
      "-c",
      `"$0" --root "$1" --state "$2" ${verb} | tar --numeric-owner -tvf -`,
      gantryProgram,
      box.root,
      box.state,
    ],
    { env: { ...box.env, TZ: "UTC" } },
  );
  assert.equal(code, 0, stderr);
  return stdout;
}

for (const running of [true, false]) {
  const kind = running ? "running" : "stopped";

  test(`diff of a ${kind} container tells what it has changed, and no place of a mount`, { skip }, () =>
    withBusybox(async (box) => {
      await change(box, running);
      assert.equal(await box.must(["diff", "work"]), expected);
      await box.must(["rm", "-f", "work"]);
    }),
  );

  test(`a ${kind} container is committed: the image has all changes, and nothing else`, { skip }, () =>
    withBusybox(async (box) => {
      await change(box, running);
      const commit = [
        "commit",
        "-a",
        "me",
        "-m",
        "why",
        "-c",
        "ENV ADDED=yes",
        "-c",
        'CMD ["true"]',
        "work",
        "made:1",
      ];
      const id = await box.must(commit);
      assert.match(id, /^sha256:[0-9a-f]{64}$/);
      if (running) assert.equal(await box.must(["inspect", "-f", "{{.State.Status}}", "work"]), "running");
      const shown = await box.must([
        "inspect",
        "-f",
        "{{.Author}}|{{.Comment}}|{{.Config.Cmd}}|{{.Config.Env}}|{{len .RootFS.Layers}}",
        "made:1",
      ]);
      assert.equal(shown, "me|why|[true]|[FROM_IMAGE=yes ADDED=yes]|2");
      const script = [
        "cat /etc/passwd | tail -1; ls /etc /home /new /var /tmp; cat /new/twin /home/other",
        "stat -c '%a %u %g %h' /new/deep /new/twin /root; readlink /etc/link; test -p /new/fifo && echo fifo; ls -d /bound /run",
      ].join("; ");
      const seen = await box.gantry(["run", "--rm", "made:1", "sh", "-c", script]);
      assert.equal(
        seen.stdout,
        [
          "more\n/etc:\nhostname\nhosts\nlink\npasswd\nresolv.conf\n",
          "/home:\nother\n\n/new:\ndeep\nfifo\ntwin\n\n/tmp:\n\n/var:",
          "x\ny\n755 5 6 2\n644 0 0 2\n711 0 0 1\n/new\nfifo\n",
        ].join("\n"),
        seen.stderr,
      );
      // the container below is not the image's any more
      await box.must(["rm", "-f", "work"]);
      await box.must(["rmi", "busybox"]);
      assert.equal(await box.must(["run", "--rm", "made:1", "cat", "/new/twin"]), "x");
    }),
  );

  test(`export of a ${kind} container has all files and no mounts`, { skip }, () =>
    withBusybox(async (box) => {
      await change(box, running);
      const list = await listing(box, "export work");
      for (const wanted of [
        /^drwxr-xr-x 5\/6 .* new\/deep\/$/m,
        /^hrw-r--r-- 0\/0 .* new\/twin link to new\/deep\/file$/m,
        /^lrwxrwxrwx .* etc\/link -> \/new$/m,
        /^prw-r--r-- .* new\/fifo$/m,
        /^drwxr-xr-x .* proc\/$/m,
      ])
        assert.match(list, wanted);
      for (const unwanted of [/ bound\/file/, / etc\/group/, / proc\/./, / dev\/./])
        assert.doesNotMatch(list, unwanted);
      const out = join(box.dir, "out.tar");
      await box.must(["export", "-o", out, "work"]);
      await box.must(["import", out, "flat"]);
      assert.equal(await box.must(["run", "--rm", "flat", "cat", "/new/twin"]), "x");
      await box.must(["rm", "-f", "work"]);
    }),
  );
}

test("commit stops the container meanwhile, unless told", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["run", "-d", "--name", "work", "busybox", "sleep", "1000"]);
    await box.must(["commit", "work"]);
    await box.must(["commit", "--no-pause", "work", "second"]);
    await box.must(["commit", "--pause=false", "work", "third"]);
    await box.must(["pause", "work"]);
    await box.must(["commit", "work", "fourth"]);
    assert.equal(
      await box.must(["inspect", "-f", "{{.State.Status}}", "work"]),
      "paused",
      "as it was before",
    );
    const events = await box.must([
      ...["events", "--since", "1h", "--until", "0s", "--filter", "container=work", "--format"],
      "{{.Action}}",
    ]);
    assert.equal(
      events,
      "create\nstart\npause\ncommit\nunpause\ncommit\ncommit\npause\ncommit".replace(
        "commit\nunpause",
        "commit\nunpause",
      ),
    );
    await box.must(["rm", "-f", "work"]);
    const bad = await box.gantry(["commit", "-c", "RUN x", "work"]);
    assert.match(bad.stderr, /RUN is not a valid change command/);
    await box.must(["run", "--name", "odd", "busybox", "touch", "/.wh.bin"]);
    assert.match(
      (await box.gantry(["commit", "odd"])).stderr,
      /a layer cannot hold a file called "\.wh\.bin"/,
    );
    await box.must(["rm", "odd"]);
  }),
);

test("a layer of a layer: commits stand on each other, and whiteouts work through them", { skip }, () =>
  withBusybox(async (box) => {
    const step = async (name: string, image: string, script: string) => {
      await box.must(["run", "--name", name, image, "sh", "-c", script]);
      await box.must(["commit", name, `${name}:1`]);
      await box.must(["rm", name]);
    };
    await step("one", "busybox", "mkdir /d; echo 1 > /d/a; echo 1 > /d/b");
    await step("two", "one:1", "rm -r /d; mkdir /d; echo 2 > /d/c; rm /etc/group");
    await step("three", "two:1", "echo 3 > /etc/group; rm /d/c");
    assert.equal(await box.must(["run", "--rm", "three:1", "sh", "-c", "ls -A /d; cat /etc/group"]), "3");
    writeFileSync(join(box.dir, "seen"), await box.must(["run", "--rm", "two:1", "ls", "/d"]));
    assert.equal(readFileSync(join(box.dir, "seen"), "utf8"), "c");
  }),
);
