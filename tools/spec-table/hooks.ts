/** hooks. */
import { hooks, row, type Section } from "./proofs.ts";

export const hookSection: Section = {
  title: "hooks",
  rows: [
    row(
      "/hooks",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
    ),
    ...(["prestart", "createRuntime", "createContainer"] as const).map((kind) =>
      row(
        `/hooks/${kind}`,
        hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
        hooks(
          `a ${kind} hook that fails ends create with its status, the next is not run, and nothing is left`,
        ),
      ),
    ),
    row(
      "/hooks/startContainer",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
      hooks("a startContainer hook that fails ends start with its status, and the program never runs"),
    ),
    row(
      "/hooks/poststart",
      hooks("poststart comes when the program runs, however long the hooks before it take"),
      hooks("a poststart hook that fails is an error and stops the container"),
    ),
    row("/hooks/poststop", hooks("a poststop hook that fails changes nothing, and the next is run")),
    row(
      "/hooks/{prestart,createRuntime,createContainer,startContainer,poststart,poststop}/*/{path,args,env}",
      hooks("gantry-oci: each hook runs at its time and place, with state, arguments and environment"),
      hooks("a hook without arguments gets its path, and without an environment none"),
    ),
    row(
      "/hooks/{prestart,createRuntime,createContainer,startContainer,poststart,poststop}/*/timeout",
      hooks("a hook that takes longer than its timeout is killed and fails"),
    ),
  ],
};
