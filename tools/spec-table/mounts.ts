/** mounts. */
import { mountOptionNames } from "../../src/linux/mount-options.ts";
import { container, further, life, noted, type Proof, row, type Section, v2 } from "./proofs.ts";

const option = (name: string): Proof => [
  "test/kernel/mount-options",
  `the mount option ${name} does what it says`,
];

export const mounts: Section = {
  title: "mounts",
  rows: [
    row("/mounts", container("mounts are made in their order")),
    row(
      "/mounts/*/destination",
      container("a file is bound onto a file that is made"),
      container("a link in the root leads a mount nowhere else"),
    ),
    row(
      "/mounts/*/source",
      container("a bind mount shows the host's file, read-only"),
      life("a mount source that does not exist is refused in runc's words"),
      [
        "test/kernel/surroundings",
        "a bind keeps the flags that its source has locked for a user without privileges",
      ],
    ),
    row(
      "/mounts/*/type",
      container("a mount has its options"),
      container("the cgroup mount is read-only and starts at the own cgroup"),
      v2("limits stand in the files of the container's own v2 cgroup"),
      container("a user namespace shares the network of the host with its sysfs"),
    ),
    row(
      "/mounts/*/options",
      ["test/kernel/mount-options", "no mount option of the specification is left out"],
      container("a tmpfs has its size and mode"),
      container("a tmpfs without a mode looks like what it covers"),
    ),
    row(
      "/mounts/*/{uidMappings,gidMappings}",
      further("an id-mapped bind mount may have a map of its own, without any user namespace"),
    ),
    row(
      "/mounts/*/{uidMappings,gidMappings}/*/{containerID,hostID,size}",
      further("an id-mapped bind mount may have a map of its own, without any user namespace"),
    ),
    ...mountOptionNames.map((name) =>
      name === "tmpcopyup"
        ? row(`/mounts/*/options=${name}`, container("tmpcopyup begins with what was there"))
        : name === "idmap"
          ? row(
              `/mounts/*/options=${name}`,
              further("an id-mapped bind mount shows the container's ids and keeps the host's on disk"),
            )
          : ["mand", "nomand", "silent", "loud", "iversion", "noiversion"].includes(name)
            ? noted(
                "accepted; a new kernel has nothing to show for it",
                `/mounts/*/options=${name}`,
                option(name),
              )
            : row(`/mounts/*/options=${name}`, option(name)),
    ),
  ],
};
