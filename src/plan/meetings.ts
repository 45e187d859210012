/** Where host side and child of a container start wait for each other: numbers of tell- and await- steps. */

/**
 * The steps at which one side waits for the other, in the order in which they are passed. Each is in
 * a plan only if there is something to wait for.
 */
export const meetings = {
  /** The child has unshared its user namespace, after joining others. */
  unshared: 1,
  /** Id maps are written. */
  identity: 2,
  /** The child is in its cgroups. */
  cgroups: 3,
  /** The network is set up. */
  network: 4,
  /** Mounts are done, hooks of the runtime may run; and back: they have run. */
  mounted: 5,
  /** Everything but the wait for `start` is done. */
  ready: 6,
  /** Whoever asked for the process knows its pid. */
  recorded: 7,
  /** The child is in all its namespaces. */
  entered: 8,
  /** The network devices of the config are in them too. */
  links: 9,
  /** The agent has the seccomp listener. */
  listener: 10,
} as const;
