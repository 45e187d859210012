/** The user namespace of the container as the host side holds it, for mounts with the container's ids. */
import { namespaces as kinds } from "../../linux/namespaces.ts";
import type { Draft } from "./draft.ts";
import type { NamespacePlan } from "./namespaces.ts";

/** Register on the host side; openNamespaces names that of a joined one alike. */
export const userNamespaceRegister = "user namespace";

/** Of a new one, when the child is in it. */
export function openUserNamespace(draft: Draft, namespaces: NamespacePlan): void {
  draft.host.push({
    op: "open-child-namespace",
    where: namespaces.where.get("user") ?? "",
    kind: kinds.user.cloneFlag,
    fd: userNamespaceRegister,
  });
}
