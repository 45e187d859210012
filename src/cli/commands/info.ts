/** `gantry info`. */
import { defineCommand } from "../command.ts";
import { sanitize } from "../format/sanitize.ts";
import { compileTemplate } from "../format/template.ts";
import { humanMemory } from "../format/units.ts";
import { text } from "../options.ts";

export const info = defineCommand({
  name: "info",
  usage: "[OPTIONS]",
  summary: "Show what this machine can do and where things lie",
  options: { format: text("Format output: 'json' or a Go TEMPLATE", { short: "f" }) },
  minArguments: 0,
  maxArguments: 0,
  examples: [["gantry info --format '{{.NCPU}} {{.CgroupVersion}}'", "Facts for a script"]],
  async run(context, { values }) {
    const engine = await context.engine();
    const { machine, ...store } = await engine.info({ signal: context.signal });
    const view = {
      ServerVersion: store.version,
      Containers: store.containers.total,
      ContainersRunning: store.containers.running,
      ContainersPaused: store.containers.paused,
      ContainersStopped: store.containers.stopped,
      Images: store.images,
      Name: machine.name,
      OperatingSystem: machine.operatingSystem,
      KernelVersion: machine.kernel,
      OSType: "linux",
      Architecture: machine.architecture === "x64" ? "x86_64" : "aarch64",
      NCPU: machine.cpus,
      MemTotal: machine.memoryBytes,
      CgroupDriver: "cgroupfs",
      CgroupVersion: machine.cgroupMode === "v2" ? "2" : "1",
      CgroupMode: machine.cgroupMode,
      CgroupControllers: machine.controllers,
      SecurityOptions: [
        "name=seccomp,profile=builtin",
        ...machine.securityModules.map((name) => `name=${name}`),
      ],
      Driver: "overlay",
      GantryRootDir: store.root,
      GantryStateDir: store.state,
      Executor: store.executor ?? "",
    };
    if (values.format === "json") context.out(`${JSON.stringify(view)}\n`);
    else if (values.format !== undefined) context.out(`${compileTemplate(values.format).run(view)}\n`);
    else {
      const lines: readonly (readonly [string, string | number])[] = [
        ["Version", view.ServerVersion],
        [
          "Containers",
          `${view.Containers} (${view.ContainersRunning} running, ${view.ContainersPaused} paused, ${view.ContainersStopped} stopped)`,
        ],
        ["Images", view.Images],
        ["Images and containers in", view.GantryRootDir],
        ["Run-time state in", view.GantryStateDir],
        ["Executor", view.Executor || "not found: build it with npm run build"],
        ["Cgroups", `${view.CgroupMode}: ${view.CgroupControllers.join(" ")}`],
        ["Security modules", machine.securityModules.join(" ") || "none"],
        ["Kernel", view.KernelVersion],
        ["Operating system", view.OperatingSystem],
        ["Architecture", view.Architecture],
        ["CPUs", view.NCPU],
        ["Memory", humanMemory(view.MemTotal)],
      ];
      context.out(
        lines.map(([name, value]) => `${`${name}:`.padEnd(27)}${sanitize(String(value))}\n`).join(""),
      );
    }
    return 0;
  },
});
