/**
 * "user[:group]" of an image or a command line -> numbers, from the text of the image's own /etc/passwd
 * and /etc/group.
 *
 * Rules that have been security bugs elsewhere: what is written as a number is a number, even if a user
 * of that name exists (CVE-2016-3697); a number that does not fit is refused, never cut (CVE-2024-40635,
 * CVE-2026-46680); a malformed line of a file is passed over, never read as root; the primary group is
 * among the supplementary ones (CVE-2022-36109).
 */
import { GantryError } from "../base/error.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Begins with gid. */
  readonly additionalGids: readonly number[];
  /** Name in /etc/passwd, if it is there. */
  readonly name?: string;
  /** Home directory in /etc/passwd, if it is there. */
  readonly home?: string;
}

/** Docker's limit: the kernel's ids have one bit more, tools that use signed numbers do not. */
const largestId = 0x7fffffff;

function refuse(reason: string, object: string): never {
  throw new GantryError("invalid-argument", reason, { detail: { user: object } });
}

/** Digits only, within range; undefined for what is a name. */
function parseId(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined;
  const id = text.length > 12 ? Number.POSITIVE_INFINITY : Number(text);
  if (id > largestId) refuse("uids and gids must be in range 0-2147483647", text);
  return id;
}

/** A number in a file: strict, or the line does not count. */
function fileId(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) && Number(text) <= 0xfffffffe
    ? Number(text)
    : undefined;
}

interface PasswdLine {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupLine {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

function* lines(text: string): Generator<readonly string[]> {
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line !== "" && !line.startsWith("#")) yield line.split(":");
  }
}

function readPasswd(text: string): readonly PasswdLine[] {
  const users: PasswdLine[] = [];
  for (const [name = "", , uidText, gidText, , home = ""] of lines(text)) {
    const uid = fileId(uidText);
    const gid = fileId(gidText);
    if (name !== "" && uid !== undefined && gid !== undefined) users.push({ name, uid, gid, home });
  }
  return users;
}

function readGroups(text: string): readonly GroupLine[] {
  const groups: GroupLine[] = [];
  for (const [name = "", , gidText, members = ""] of lines(text)) {
    const gid = fileId(gidText);
    if (name !== "" && gid !== undefined)
      groups.push({ name, gid, members: members.split(",").filter((member) => member !== "") });
  }
  return groups;
}

function resolveGroup(text: string, groups: readonly GroupLine[]): number {
  const number = parseId(text);
  if (number !== undefined) return number;
  const found = groups.find(({ name }) => name === text);
  return found ? found.gid : refuse(`unable to find group ${text}: no matching entries in group file`, text);
}

/**
 * Resolves `spec`; "" is root. With a group in the spec only that group counts, else also those of
 * which the user is a member. `groupAdd` comes on top.
 */
export function resolveUser(
  spec: string,
  passwdText: string,
  groupText: string,
  groupAdd: readonly string[] = [],
): ResolvedUser {
  const colon = spec.indexOf(":");
  const userText = colon < 0 ? spec : spec.slice(0, colon);
  const groupSpec = colon < 0 ? "" : spec.slice(colon + 1);
  const groups = readGroups(groupText);
  const number = userText === "" ? 0 : parseId(userText);
  const entry = readPasswd(passwdText).find(({ name, uid }) =>
    number === undefined ? name === userText : uid === number,
  );
  if (entry === undefined && number === undefined)
    refuse(`unable to find user ${userText}: no matching entries in passwd file`, userText);
  const uid = entry?.uid ?? number!;
  const gid = groupSpec === "" ? (entry?.gid ?? 0) : resolveGroup(groupSpec, groups);
  const memberships =
    groupSpec === "" && entry
      ? groups.filter(({ members }) => members.includes(entry.name)).map((group) => group.gid)
      : [];
  const added = groupAdd.map((text) => resolveGroup(text, groups));
  return {
    uid,
    gid,
    additionalGids: [...new Set([gid, ...memberships, ...added])],
    ...(entry ? { name: entry.name, home: entry.home } : {}),
  };
}
