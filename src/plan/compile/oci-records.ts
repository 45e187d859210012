/** What the OCI runtime writes down of a container: state.json, and the same for native/quick.c. */
import { runtimeSpecVersion } from "../../spec/runtime-config.ts";
import { stateFiles } from "../state-files.ts";
import type { ContainerCgroup } from "./cgroups.ts";
import type { Draft } from "./draft.ts";
import { hooksOf } from "./hooks.ts";
import { resctrlOf } from "./intel-rdt.ts";
import { lateText } from "./late-text.ts";
import { quickRecord } from "./quick-record.ts";
import type { ContainerRequest, OciMode } from "./request.ts";
import { rootOf } from "./root.ts";

const hasOwnPids = (draft: Draft<ContainerRequest>) =>
  (draft.linux.namespaces ?? []).some(({ type, path }) => type === "pid" && !path);

function rootPath(draft: Draft<ContainerRequest>): string {
  const root = rootOf(draft);
  return root.kind === "directory" ? root.path : "";
}

/** After state.json, so that whoever finds it finds that too. */
export function recordQuick(
  draft: Draft<ContainerRequest>,
  mode: OciMode,
  cgroups: readonly ContainerCgroup[],
): void {
  const { id, bundle, config } = draft.request;
  const { annotations = {} } = config;
  const state = {
    ociVersion: runtimeSpecVersion,
    id,
    pid: 0,
    status: "",
    bundle,
    rootfs: rootPath(draft),
    created: "",
    owner: draft.facts.uid === 0 ? "root" : String(draft.facts.uid),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
  const record = quickRecord({
    config,
    cgroups,
    notifies: mode.notify !== undefined,
    ownPids: hasOwnPids(draft),
    hasMore: resctrlOf(draft) !== undefined || mode.cgroups?.kind === "unit",
    state,
  });
  draft.host.push({ op: "record-start", where: "", dir: mode.state, name: stateFiles.quick, record });
}

/** state.json: what the verbs need, without another look at the bundle. */
function ociRecord(
  draft: Draft<ContainerRequest>,
  cgroups: readonly ContainerCgroup[],
  creating: boolean,
): string {
  const { id, bundle, config } = draft.request;
  const resctrl = resctrlOf(draft);
  return lateText(
    {
      ociVersion: runtimeSpecVersion,
      id,
      ...(creating ? { creating } : {}),
      bundle,
      rootfs: rootPath(draft),
      annotations: config.annotations ?? {},
      ...(draft.request.mode.kind === "oci" && draft.request.mode.noNewKeyring ? { noNewKeyring: true } : {}),
      // without a pid namespace the end of init does not end the others
      ownPids: hasOwnPids(draft),
      cgroups: cgroups.map(({ hierarchy, version, path, controllers }) => ({
        version,
        mount: hierarchy.mountPoint,
        path,
        ...(version === 1 ? { controllers } : {}),
      })),
      resctrl: resctrl && { mount: resctrl.mount, group: resctrl.group, own: resctrl.own },
      hooks: { poststart: hooksOf(draft, "poststart"), poststop: hooksOf(draft, "poststop") },
    },
    // a restore must know what came from outside, and what that was
    { pid: "@PID@", pidStart: "@START@", created: '"@TIME@"', descriptors: "@STDIO@" },
  );
}

export function hasEarlyHooks(draft: Draft<ContainerRequest>): boolean {
  return (["prestart", "createRuntime", "createContainer"] as const).some(
    (kind) => hooksOf(draft, kind).length > 0,
  );
}

/** `creating`: its hooks run just now, and may ask for the state; another record follows. */
export function recordOci(
  draft: Draft<ContainerRequest>,
  mode: OciMode,
  cgroups: readonly ContainerCgroup[],
  creating: boolean,
): void {
  const record = ociRecord(draft, cgroups, creating);
  draft.host.push({ op: "record-start", where: "", dir: mode.state, name: stateFiles.oci, record });
}
