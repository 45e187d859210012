import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ended, must } from "../lib/command.ts";
import { busyboxLayout } from "../lib/fixtures.ts";
import { needs } from "../lib/needs.ts";
import { withSandbox } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";
import { rootTar, withBusybox } from "./busybox.ts";

const skip = needs("root");

test("import makes an image with defaults for its containers", { skip }, () =>
  withSandbox(async (box) => {
    const changes = [
      'CMD ["echo","from cmd"]',
      "ENV A=1 B=two",
      "LABEL k=v",
      "WORKDIR /tmp",
      "USER 1000:1000",
      "STOPSIGNAL INT",
      "EXPOSE 80",
    ];
    const id = await box.must([
      "import",
      ...changes.flatMap((change) => ["-c", change]),
      "-m",
      "a remark",
      await rootTar(),
      "mine:1",
    ]);
    assert.match(id, /^sha256:[0-9a-f]{64}$/);
    assert.equal(await box.must(["run", "--rm", "mine:1"]), "from cmd");
    assert.equal(
      await box.must(["run", "--rm", "mine:1", "sh", "-c", "echo $A $B; pwd; id -u"]),
      "1 two\n/tmp\n1000",
    );
    const shown = await box.must([
      "inspect",
      "-f",
      "{{.Config.StopSignal}} {{.Config.Labels.k}} {{.Comment}} {{json .Config.ExposedPorts}}",
      "mine:1",
    ]);
    assert.equal(shown, 'INT v a remark {"80/tcp":{}}');
    const bad = await box.gantry(["import", "-c", "RUN x", await rootTar()]);
    assert.deepEqual(
      [bad.code, bad.stderr.split("\n")[0]],
      [125, "gantry: RUN is not a valid change command"],
    );
    assert.equal((await box.gantry(["import", "/nonexistent.tar", "x"])).code, 1);
  }),
);

test("import reads standard input", { skip }, () =>
  withSandbox(async (box) => {
    const { readFileSync } = await import("node:fs");
    const outcome = await box.gantry(["import", "-", "piped"], { stdin: readFileSync(await rootTar()) });
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.equal(await box.must(["images", "--format", "{{.Repository}}:{{.Tag}}"]), "piped:latest");
  }),
);

test("images lists names, ids and sizes in docker's forms", { skip }, () =>
  withBusybox(async (box) => {
    const table = (await box.must(["images"])).split("\n");
    assert.match(table[0]!, /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/);
    assert.match(table[1]!, /^busybox +latest +[0-9a-f]{12} +.* ago +[\d.]+MB$/);
    const id = await box.must(["images", "-q", "--no-trunc"]);
    assert.match(id, /^sha256:[0-9a-f]{64}$/);
    assert.equal(await box.must(["images", "-q", "busybox:latest"]), id.slice(7, 19));
    assert.equal(await box.must(["images", "-q", "nosuch"]), "");
    assert.equal(await box.must(["inspect", "--type", "image", "-f", "{{.Id}}", id.slice(7, 15)]), id);
    assert.equal(JSON.parse(await box.must(["images", "--format", "json"])).Repository, "busybox");
  }),
);

test("an image that a container was made of stays until the container goes", { skip }, () =>
  withBusybox(async (box) => {
    await box.must(["create", "--name", "user", "busybox"]);
    const refused = await box.gantry(["rmi", "busybox"]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /is being used by container [0-9a-f]{64}/);
    await box.must(["rm", "user"]);
    assert.match(
      await box.must(["rmi", "busybox"]),
      /^Untagged: busybox:latest\nDeleted: sha256:[0-9a-f]{64}/,
    );
    assert.equal(await box.must(["images", "-q"]), "");
    assert.deepEqual(readdirSync(join(box.root, "snapshots/layers")), []);
    const missing = await box.gantry(["rmi", "busybox"]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /no such image/i);
  }),
);

test(
  "registry serve, push, pull, run: through the distribution protocol",
  { skip: needs("root", "skopeo") },
  () =>
    withSandbox(async (box) => {
      const server = box.spawn(["registry", "serve", "--listen", "127.0.0.1:0"]);
      const end = ended(server);
      let output = "";
      server.stdout!.on("data", (chunk) => {
        output += chunk;
      });
      const address = await until("the registry listens", () => /^Listening on (\S+)\n/.exec(output)?.[1]);
      const source = `oci:${await busyboxLayout()}:latest`;
      await must([
        "skopeo",
        "copy",
        "--insecure-policy",
        "--dest-tls-verify=false",
        source,
        `docker://${address}/team/app:1`,
      ]);
      const name = `${address}/team/app:1`;
      const pulled = await box.gantry(["pull", name]);
      assert.equal(pulled.code, 0, pulled.stderr);
      const lines = pulled.stdout.trimEnd().split("\n");
      assert.equal(lines[0], `1: Pulling from ${address}/team/app`);
      assert.match(lines.join("\n"), /^[0-9a-f]{12}: Pull complete$/m);
      assert.match(lines.at(-3)!, /^Digest: sha256:[0-9a-f]{64}$/);
      assert.deepEqual(lines.slice(-2), [`Status: Downloaded newer image for ${name}`, name]);
      const again = await box.must(["pull", name]);
      assert.match(again, /^Status: Image is up to date for /m);
      assert.equal(await box.must(["pull", "-q", name]), name);
      assert.equal(await box.must(["run", "--rm", name, "echo", "pulled"]), "pulled");
      await box.must(["rmi", name]);
      const missing = await box.gantry(["run", "--rm", name, "echo", "again"]);
      assert.equal(missing.stdout, "again\n");
      assert.ok(missing.stderr.startsWith(`Unable to find image '${name}' locally\n`), missing.stderr);
      for (const lost of ["snapshots/layers", "content/blobs"])
        rmSync(join(box.root, lost), { recursive: true });
      const healed = await box.gantry(["run", "--rm", name, "echo", "healed"]);
      assert.equal(healed.stdout, "healed\n", "what is damaged is pulled again");
      const untagged = await box.gantry(["pull", `${address}/team/app`]);
      assert.equal(untagged.code, 1);
      assert.ok(
        untagged.stdout.startsWith("Using default tag: latest\nlatest: Pulling from "),
        untagged.stdout,
      );
      const unknown = await box.gantry(["run", "--rm", `${address}/nosuch`]);
      assert.equal(unknown.code, 125);
      assert.match(unknown.stderr, /nosuch/);
      const down = await box.gantry(["pull", "127.0.0.1:1/x"]);
      assert.equal(down.code, 1);
      assert.match(down.stderr, /connection refused/i);
      server.kill("SIGINT");
      assert.equal(await end, 0);
    }),
);
