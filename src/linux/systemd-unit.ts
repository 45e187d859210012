/**
 * The unit of a container under systemd: `linux.cgroupsPath` as "slice:prefix:name" -> names and the cgroup that
 * systemd makes of them (systemd.unit(5), systemd.slice(5); the form is runc's).
 */
import { GantryError } from "../base/error.ts";

export interface SystemdUnit {
  /** "prefix-name.scope", or a name that ends in ".slice" as it is. */
  readonly name: string;
  readonly kind: "scope" | "slice";
  /** The slice that the unit is put into. */
  readonly slice: string;
  /** The unit's cgroup below that of its manager: "/system.slice/prefix-name.scope". */
  readonly path: string;
}

/** systemd's own limit (UNIT_NAME_MAX). */
const longestName = 255;

function refuse(reason: string): never {
  throw new GantryError("invalid-argument", reason, { detail: { pointer: "/linux/cgroupsPath" } });
}

function checkName(name: string): string {
  if (name.length > longestName || !/^[A-Za-z0-9:_.\\@-]+\.(scope|slice)$/.test(name))
    refuse(`invalid systemd unit name: ${JSON.stringify(name)}`);
  return name;
}

/** Dashes nest: "a-b.slice" -> "/a.slice/a-b.slice"; "-.slice" is the root. */
export function expandSlice(slice: string): string {
  const invalid = () => refuse(`invalid slice name: ${slice}`);
  if (!slice.endsWith(".slice") || slice === ".slice") invalid();
  checkName(slice);
  const name = slice.slice(0, -".slice".length);
  if (name === "-") return "/";
  const parts = name.split("-");
  if (parts.includes("")) invalid();
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}

/** The unit that a container gets. `rootless`: its manager is the user's own, whose default slice is another. */
export function unitOfContainer(
  cgroupsPath: string | undefined,
  id: string,
  { rootless }: { readonly rootless: boolean },
): SystemdUnit {
  const asked = cgroupsPath ? cgroupsPath.split(":") : ["", "gantry", id];
  if (asked.length !== 3)
    refuse(
      `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got ${JSON.stringify(cgroupsPath)} instead`,
    );
  const [parent, prefix, given] = asked as [string, string, string];
  if (given === "") refuse(`the name in cgroupsPath ${JSON.stringify(cgroupsPath)} is empty`);
  const slice = parent || (rootless ? "user.slice" : "system.slice");
  if (given.endsWith(".slice")) {
    // the name says where a slice is: its parent is what its dashes say, and only wanted
    const path = expandSlice(given);
    if (path === "/") refuse("the root slice cannot be a container's");
    expandSlice(slice);
    return { name: given, kind: "slice", slice, path };
  }
  const name = checkName(`${prefix}-${given}.scope`);
  const below = expandSlice(slice);
  return { name, kind: "scope", slice, path: below === "/" ? `/${name}` : `${below}/${name}` };
}
