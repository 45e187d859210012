/**
 * Extended attributes that name users: file capabilities of a user namespace (capabilities(7), "Namespaced file
 * capabilities") and POSIX access control lists (acl(5); include/uapi/linux/posix_acl_xattr.h). Pure.
 */

export type MapId = (id: number) => number;

export interface OwnedXattr<N extends string = string> {
  readonly name: N;
  readonly value: Uint8Array;
}

const revision2 = 0x02000000;
const revision3 = 0x03000000;
const effective = 1;
const [bytes2, bytes3] = [20, 24];

const aclVersion = 2;
const [aclUser, aclGroup] = [0x02, 0x08];
const aclEntryBytes = 8;

/** The attribute with other ids; one that names nobody as it is. What is of no known form stays as well. */
export function mapXattr<X extends OwnedXattr>(xattr: X, mapUid: MapId, mapGid: MapId): X {
  const { name } = xattr;
  if (name === "security.capability") return { ...xattr, value: mapCapability(xattr.value, mapUid) };
  if (name === "system.posix_acl_access" || name === "system.posix_acl_default")
    return { ...xattr, value: mapAcl(xattr.value, mapUid, mapGid) };
  return xattr;
}

/** Of the root of the first namespace it has the short form, which means the same. */
function mapCapability(value: Uint8Array, mapUid: MapId): Uint8Array {
  const from = Buffer.from(value);
  if (from.length !== bytes2 && from.length !== bytes3) return value;
  const magic = from.readUInt32LE(0);
  const revision = magic - (magic & effective);
  if (revision !== (from.length === bytes2 ? revision2 : revision3)) return value;
  const root = mapUid(revision === revision3 ? from.readUInt32LE(bytes2) : 0);
  const to = Buffer.alloc(root === 0 ? bytes2 : bytes3);
  from.copy(to, 0, 0, bytes2);
  to.writeUInt32LE((root === 0 ? revision2 : revision3) | (magic & effective), 0);
  if (root !== 0) to.writeUInt32LE(root, bytes2);
  return to;
}

function mapAcl(value: Uint8Array, mapUid: MapId, mapGid: MapId): Uint8Array {
  const to = Buffer.from(value);
  if (to.length < 4 || (to.length - 4) % aclEntryBytes !== 0 || to.readUInt32LE(0) !== aclVersion)
    return value;
  for (let at = 4; at < to.length; at += aclEntryBytes) {
    const tag = to.readUInt16LE(at);
    const map = tag === aclUser ? mapUid : tag === aclGroup ? mapGid : undefined;
    if (map) to.writeUInt32LE(map(to.readUInt32LE(at + 4)), at + 4);
  }
  return to;
}
