/**
 * The operation table: the one source of the plan language. From it come the encoder's types, the C
 * decoder's table (native/gen/operations.h), the printer and docs/plan.md.
 *
 * An operation is high-level and typed. None passes an arbitrary system call through, and none
 * resolves a path inside an untrusted root other than by openat2 with RESOLVE_IN_ROOT.
 */

/**
 * What an operand is:
 * - `u32`, `u64`: numbers; u64 is a bigint or a number
 * - `text`: a string without NUL; `bytes`: any bytes; `texts`, `numbers`: lists
 * - `fd`: a register that must hold a descriptor; `fd?`: the same, or none
 * - `fd+`: a register that must be empty and is filled; `fd-`: a register that is used and emptied
 */
export type OperandKind =
  | "u32"
  | "u64"
  | "text"
  | "bytes"
  | "texts"
  | "numbers"
  | "fd"
  | "fd?"
  | "fd+"
  | "fd-";

/** Where an operation may stand: `layer` is the language of unpacking. */
export type Stage = "host" | "child" | "cleanup" | "layer";

/**
 * Order rules that the executor checks before it runs anything:
 * - `in-root`: works on a path in the root, so it may not come after `pivot`
 * - `pivot`: at most once
 * - `seccomp`: only operations marked `confined` may follow
 * - `close`: after it nothing may open a descriptor, and `exec` demands that it came
 * - `last`: ends its stage
 * - `clone`: at most once; divides the host stage into before and after the child exists
 * - `with-child`: only after `clone`
 * - `controller`: needs somebody at the other end of the dialogue
 * - `empties`: empties every register that it does not name
 */
export type Rule =
  | "in-root"
  | "pivot"
  | "seccomp"
  | "confined"
  | "close"
  | "last"
  | "clone"
  | "with-child"
  | "controller"
  | "empties";

export interface Operation {
  readonly number: number;
  readonly stages: readonly Stage[];
  readonly rules: readonly Rule[];
  readonly operands: Readonly<Record<string, OperandKind>>;
  readonly doc: string;
}

const host = ["host"] as const;
const child = ["child"] as const;
const both = ["host", "child"] as const;
const cleanup = ["cleanup"] as const;
const layer = ["layer"] as const;
const anywhere = ["host", "child", "cleanup"] as const;
const outside = ["host", "cleanup"] as const;

function op<const O extends Readonly<Record<string, OperandKind>>>(
  number: number,
  stages: readonly Stage[],
  rules: readonly Rule[],
  operands: O,
  doc: string,
) {
  return { number, stages, rules, operands, doc } as const;
}

// biome-ignore format: a table, one row an operation
export const operations = {
  // descriptors and the dialogue
  "close": op(2, anywhere, ["confined"], { fd: "fd-" }, "closes a descriptor"),
  "make-pipe": op(3, host, [], { read: "fd+", write: "fd+" }, "makes a pipe, both ends close-on-exec"),
  "tell-child": op(4, host, ["with-child"], { step: "u32" }, "lets the child go on from await-host of the same step"),
  "await-child": op(5, host, ["with-child"], { step: "u32" }, "waits until the child reaches tell-host of the same step, or fails with its failure"),
  "tell-host": op(6, child, ["confined"], { step: "u32" }, "reports a step to the host side"),
  "await-host": op(7, child, ["confined"], { step: "u32" }, "waits for tell-child of the same step"),
  "send-fd": op(8, host, ["with-child"], { fd: "fd" }, "sends a descriptor to the child"),
  "receive-fd": op(9, child, [], { fd: "fd+" }, "receives the next descriptor that the host side sends"),
  "sync": op(10, host, ["controller"], { point: "u32" }, "reports the point and the child's pid to the controller and waits for its go"),
  "report": op(11, host, ["controller"], { point: "u32" }, "reports the point and the child's pid to the controller"),
  "await-exec": op(12, host, ["with-child"], {}, "waits until the child has become the program, or fails with its failure"),
  "await-exit": op(13, host, ["with-child", "last"], {}, "waits for the child's end, passing signals on to it; its status becomes the executor's"),
  "adopt-child": op(14, host, ["with-child"], {}, "takes the process that fork-again made as the child, and reaps the one it came from"),
  "make-fifo": op(15, host, [], { path: "text", mode: "u32", fd: "fd+" }, "makes a fifo on the host, where nothing may be yet, and opens it as a path"),
  "open-below": op(16, both, [], { dir: "fd", path: "text", fd: "fd+" }, "opens a directory below another one as a path, crossing no symlink and no mount"),
  "tell-failure": op(225, host, [], { log: "text", line: "text", intro: "text", host: "text", child: "text", status: "u32", trace: "text" }, "how a failure is told where nobody is at the other end of a dialogue: line, with @MESSAGE@ and @TIME@ filled in, goes to the file log, or to stderr if that is empty; with a log, intro and the message go to stderr as well; host or child goes before what failed on that side; status is the executor's then; trace, if it is not empty, is the line by which every step is told before it is taken"),

  // cgroups
  "make-cgroup": op(20, host, [], { mount: "text", path: "text", init: "u32", dir: "fd+" }, "makes the cgroup and its missing parents below a cgroup mount; init 1 copies cpuset.cpus and cpuset.mems from the parent (v1), init 2 fails if it exists and holds processes"),
  "write-cgroup": op(21, anywhere, [], { dir: "fd", file: "text", value: "text", optional: "u32" }, "writes a value to a file of a cgroup; optional 1 passes over a file that does not exist"),
  "enable-controllers": op(22, host, [], { mount: "text", path: "text", controllers: "texts" }, "enables controllers in cgroup.subtree_control from the mount down to the parent of path (v2), as far as this may be done"),
  "move-child": op(23, host, ["with-child"], { dir: "fd" }, "moves the child into the cgroup"),
  "enter-cgroup": op(24, child, [], { mount: "text", path: "text" }, "moves the calling thread, the only one of its process, into a v1 cgroup; before pivot"),
  "set-device-filter": op(25, outside, [], { dir: "fd", program: "bytes" }, "attaches an eBPF device program to a v2 cgroup in place of those that are attached to it; one takes another's place in one step"),
  "remove-cgroup": op(26, cleanup, [], { mount: "text", path: "text" }, "kills what is left in a cgroup and below, and removes it, unless make-cgroup of the same plan was refused it; missing is fine"),
  "empty-cgroup": op(27, cleanup, [], { mount: "text", path: "text" }, "kills what is left in a v2 cgroup and below, and removes what is below, unless make-cgroup of the same plan was refused it; the cgroup itself is left to the process that made it, which must see it empty; missing is fine"),
  "freeze-cgroup": op(181, outside, [], { dir: "fd", version: "u32", frozen: "u32", timeoutMs: "u32" }, "freezes a cgroup (frozen 1) or thaws it (0), through the freezer controller (version 1) or cgroup.freeze (2); waits until all of it is frozen, and thaws it again if that does not come in time"),
  "watch-memory": op(270, host, ["controller"], { point: "u32", version: "u32", dir: "fd?", process: "fd" }, "has the kernel tell of what it does in a cgroup for want of memory, through cgroup.event_control (version 1) or memory.events (2), or of nothing (0); reports the point to the controller with a count, once that stands and whenever there are more, waiting for its go: how often the kernel has said so, or the kills of all time; until the process has ended"),
  "write-cgroup-either": op(182, outside, [], { dir: "fd", file: "text", value: "text", otherwise: "text", otherValue: "text" }, "writes a value to a file of a cgroup or, where the kernel has no such file, another value to another one"),
  "delegate-cgroup": op(183, host, [], { dir: "fd", files: "texts", uid: "u32" }, "gives a v2 cgroup and the named files in it to a user; files that the kernel does not have are passed over"),

  // the child
  "clone": op(30, host, ["clone"], { namespaces: "u64", cgroup: "fd?" }, "starts the child stage in a new process with new namespaces (CLONE_NEW* bits), in a v2 cgroup if given"),
  "open-namespace": op(31, host, [], { path: "text", kind: "u64", fd: "fd+" }, "opens a namespace file and proves its kind (a CLONE_NEW* bit)"),
  "open-child-namespace": op(32, host, ["with-child"], { kind: "u64", fd: "fd+" }, "opens a namespace of the child"),
  "join-namespace": op(33, both, [], { fd: "fd", kind: "u64" }, "moves the calling process into a namespace, or into those of a process (kind: one bit each); a pid namespace takes effect for the next clone or fork-again"),
  "unshare": op(34, child, [], { namespaces: "u64" }, "makes new namespaces for the calling process"),
  "fork-again": op(35, child, [], { namespaces: "u64" }, "goes on in a new process that takes this one's place as the child: needed after joining or unsharing a pid or time namespace"),
  "write-id-map": op(36, host, ["with-child"], { kind: "u32", map: "text", setgroups: "u32", helper: "text" }, "writes uid_map (kind 0) or gid_map (kind 1) of the child; setgroups 1 denies setgroups first; helper is newuidmap or newgidmap by absolute path, or empty"),
  "set-time-offset": op(37, child, [], { offsets: "text" }, "writes /proc/self/timens_offsets before the first process enters the time namespace"),
  "become-root": op(38, child, [], {}, "takes uid 0, gid 0 of the user namespace that the host side has mapped"),
  "set-hostname": op(39, child, [], { name: "text" }, "sets the host name"),
  "set-domainname": op(40, child, [], { name: "text" }, "sets the NIS domain name"),
  "new-session": op(41, child, ["confined"], {}, "starts a session (setsid)"),
  "new-keyring": op(42, child, [], { name: "text" }, "joins a new session keyring; kernels without keyrings are passed over"),
  "raise-link": op(43, child, [], { name: "text" }, "sets a network interface up"),
  "set-rlimit": op(44, child, [], { resource: "u32", soft: "u64", hard: "u64" }, "sets a resource limit of the calling process"),
  "set-priority": op(45, child, [], { kind: "u32", value: "u64" }, "kind 1: IO priority as for ioprio_set; kind 2: personality"),
  "set-scheduler": op(46, child, [], { policy: "u32", flags: "u64", nice: "u64", priority: "u32", runtime: "u64", deadline: "u64", period: "u64" }, "sched_setattr on the calling thread"),
  "set-affinity": op(47, both, [], { mask: "bytes" }, "sched_setaffinity on the calling thread"),
  "set-death-signal": op(48, child, ["confined"], { signal: "u32" }, "the signal that this process gets when its parent ends"),
  "run-hook": op(49, anywhere, ["confined"], { path: "text", args: "texts", env: "texts", state: "text", timeoutMs: "u32" }, "runs a hook with the state on its stdin; @PID@ in the state becomes the child's pid"),
  "set-oom-score": op(50, host, ["with-child"], { value: "text" }, "writes oom_score_adj of the child, with the privileges of the host side"),
  "set-memory-policy": op(51, child, [], { mode: "u32", nodes: "bytes" }, "sets the NUMA memory policy (set_mempolicy): mode with its flags, nodes as a bit mask"),
  "make-user-namespace": op(52, host, [], { uidMap: "text", gidMap: "text", fd: "fd+" }, "makes a user namespace with id maps that no process is in, for id-mapped mounts"),

  // mounts
  "set-propagation": op(60, child, [], { flags: "u64" }, "changes the propagation of everything under / of the own mount namespace (MS_* bits)"),
  "clone-tree": op(61, both, [], { path: "text", recursive: "u32", fd: "fd+" }, "a detached copy of the mount tree at a host path"),
  "make-mount": op(62, both, [], { type: "text", options: "texts", attributes: "u64", fd: "fd+" }, "a new detached mount of a file system; each option is key or key=value, `lowerdir+=` may repeat; attributes are MOUNT_ATTR_* bits"),
  "set-mount-attributes": op(63, both, [], { fd: "fd", set: "u64", clear: "u64", propagation: "u64", recursive: "u32", userns: "fd?" }, "changes attributes, propagation and id mapping of a mount"),
  "attach-mount": op(64, child, ["in-root"], { mount: "fd", root: "fd", path: "text", options: "u32" }, "puts a detached mount on a path in the root, making the path if it is missing; options bit 0: no symlink anywhere in the path, bit 2: nothing but a proc file system may come here, bit 3: it may come over a file of proc"),
  "attach-root": op(65, child, ["in-root"], { mount: "fd" }, "puts the detached mount of the root file system over / of the own mount namespace"),
  "mask-path": op(66, child, ["in-root"], { root: "fd", path: "text" }, "hides a path: a directory under an empty read-only tmpfs, a file under /dev/null; missing is fine"),
  "readonly-path": op(67, child, ["in-root"], { root: "fd", path: "text" }, "makes a path read-only; missing is fine"),
  "pivot": op(68, child, ["in-root", "pivot"], { root: "fd", mode: "u32" }, "makes the root the root: mode 0 pivot_root, 1 chroot (a root that is an initramfs cannot be pivoted)"),
  "copy-up": op(69, child, ["in-root"], { root: "fd", path: "text", mount: "fd" }, "copies what is at a path of the root into a detached tmpfs (tmpcopyup)"),
  "open-proc": op(70, child, [], { pids: "u32", fd: "fd+" }, "a private mount of proc that nobody else can reach; pids 1: with its processes alone, where the kernel can"),
  "write-proc": op(71, child, [], { proc: "fd", path: "text", value: "text" }, "writes a file of a private proc, crossing no mount and no magic link"),
  "open-file-system": op(72, both, [], { type: "text", fd: "fd+" }, "begins a new file system, whose options follow one by one (fsopen)"),
  "set-file-system-option": op(73, both, [], { context: "fd", option: "text" }, "an option of a file system that was begun: key or key=value"),
  "set-file-system-directory": op(74, both, [], { context: "fd", key: "text", dir: "fd" }, "an option of a file system that was begun whose value is a directory, given as a descriptor"),
  "create-mount": op(75, both, [], { context: "fd-", attributes: "u64", uid: "u32", gid: "u32", fd: "fd+" }, "makes the file system that was begun, with uid and gid as the file system ids of who makes it, and a detached mount of it; attributes are MOUNT_ATTR_* bits"),
  "take-mode": op(76, child, ["in-root"], { root: "fd", path: "text", mount: "fd" }, "gives the root of a detached mount the permission bits of the directory that it will cover; missing is fine"),

  "clone-below": op(242, both, [], { dir: "fd?", path: "text", below: "text", recursive: "u32", fd: "fd+" }, "a detached copy of the mount tree at a path below a directory (dir or, without it, a host path) that somebody else fills: nothing leads out of it"),
  "populate-volume": op(243, host, [], { root: "fd", path: "text", volume: "text", durable: "u32" }, "gives the empty directory _data of a volume a copy of what is at a path of the root, with owners, modes, times and extended attributes: made aside as a whole and then moved in; goes on with what was not moved in before; missing is fine; durable 1: all of it is on the disk before it counts as whole, and as done"),

  // in the root
  "make-device": op(81, child, ["in-root"], { root: "fd", path: "text", type: "u32", major: "u32", minor: "u32", mode: "u32", uid: "u32", gid: "u32" }, "makes a device node or fifo (type: the S_IFMT bits of its mode); one that is there must be the same"),
  "make-symlink-in-root": op(82, child, ["in-root"], { root: "fd", path: "text", target: "text" }, "makes a symbolic link; one that is there must be the same"),
  "set-cwd": op(83, child, ["confined"], { path: "text", create: "u32" }, "changes to a directory after pivot and proves that it lies under the root; one that root may not enter is left to set-user"),

  // confinement and exec
  "set-stdio": op(100, child, ["confined"], { stdin: "fd?", stdout: "fd?", stderr: "fd?", null: "u32" }, "puts descriptors on 0, 1 and 2; none leaves what was inherited; null 1: in the place of the host's null device comes that of the root, if it has one"),
  "set-umask": op(101, child, ["confined"], { mask: "u32" }, "sets the umask"),
  "drop-bounding": op(102, child, [], { keep: "u64" }, "drops every capability that is not in the set from the bounding set"),
  "set-user": op(103, child, ["confined"], { uid: "u32", gid: "u32", groups: "numbers", setGroups: "u32" }, "takes user, group and supplementary groups, keeping capabilities for set-capabilities"),
  "set-capabilities": op(104, child, ["confined"], { effective: "u64", permitted: "u64", inheritable: "u64", ambient: "u64" }, "sets the four sets of the thread"),
  "set-no-new-privileges": op(105, child, ["confined"], {}, "no execve may raise privileges from here on"),
  "load-seccomp": op(106, child, ["seccomp"], { flags: "u64", filter: "bytes", listener: "u32" }, "installs a filter; listener 1: one with a notify descriptor, which the host side takes out of the child; listener 2: the child sends it"),
  "receive-listener": op(107, host, ["with-child"], { take: "u32", fd: "fd+" }, "gets the seccomp notify descriptor of the child: takes it out of it where take is 1, else receives it"),
  "default-home": op(108, child, ["confined"], { uid: "u32" }, "sets HOME from /etc/passwd of the root for exec, where the environment has none"),
  "find-program": op(109, child, ["confined"], { name: "text", directories: "texts" }, "finds the program as execvp would, for exec"),
  "await-start": op(110, child, ["confined"], { fifo: "fd-", proc: "fd" }, "blocks until somebody opens the fifo to read"),
  "close-descriptors": op(111, child, ["confined", "close"], { keep: "u32" }, "marks all descriptors from 3 + keep on as close-on-exec"),
  "exec": op(112, child, ["confined", "last"], { args: "texts", env: "texts" }, "becomes the program that find-program found"),

  // terminals and inherited descriptors
  "open-terminal": op(170, child, ["in-root"], { root: "fd?", console: "text", rows: "u32", columns: "u32", like: "u32", uid: "u32", plain: "u32", fd: "fd+" }, "makes a terminal in the devpts at /dev/pts of the root (none: the root of this process), proved to be one, sends its master to the host side and keeps the slave, which uid owns; rows and columns are its size, or if 0 that of descriptor `like` (3 for none); the slave is bound over the path `console`, if there is one; plain 1: it adds no carriage returns"),
  "receive-terminal": op(171, host, ["with-child"], { fd: "fd+" }, "receives the master of the terminal that the child made"),
  "take-terminal": op(172, child, ["confined"], { fd: "fd-" }, "puts the terminal on 0, 1 and 2 and makes it the controlling one of the session"),
  "own-stdio": op(173, both, ["confined"], { uid: "u32", kinds: "u32" }, "gives 0, 1 and 2 to a user, as far as that may be done: kinds 1 pipes and sockets, 2 anything but /dev/null"),
  "connect-socket": op(174, host, [], { path: "text", fd: "fd+" }, "connects to a stream socket on the host, at a path of any length"),
  "send-descriptor": op(175, host, ["with-child"], { socket: "fd-", payload: "text", descriptor: "fd?" }, "sends one message with a descriptor over a socket and closes the socket; none is a pidfd of the child"),
  "attend-child": op(176, host, ["with-child", "last"], { console: "u32", terminal: "fd?", notify: "fd?", manager: "fd?", mainPid: "u32" }, "await-exit which also relays between stdin and stdout and the master of a terminal, with the terminal outside (descriptor `console`, 3 for /dev/tty) in raw mode and its size followed, and tells the service manager as relay-notify does"),
  "open-notify": op(177, host, [], { dir: "text", name: "text", manager: "text", fd: "fd+", peer: "fd+" }, "makes a datagram socket in a directory of the host, to which everybody may write, and connects another to that of the service manager; one that is not there is not told"),
  "relay-notify": op(178, host, [], { socket: "fd-", manager: "fd-", pid: "u32" }, "waits until READY=1 comes from a container or its process (0: the child) ends; tells the service manager, and that the process is the main one, and waits until it has taken that in"),
  "set-listen-pid": op(179, child, ["confined"], {}, "sets LISTEN_PID for exec to the pid that the program has"),
  "make-state-directory": op(230, host, [], { dir: "text", name: "text" }, "makes a private directory below a directory of the host, where nothing may be yet"),
  "give-descriptor": op(231, host, [], { fd: "fd", uid: "u32" }, "gives what a descriptor stands for to a user, as far as that may be done"),
  "remove-when-told": op(232, cleanup, [], { dir: "text", name: "text" }, "removes a directory below a host directory as remove-tree does, when every client has been told of the end; not if one has asked to disown"),
  "watch-terminal": op(233, host, ["controller", "last"], { terminal: "u32" }, "tells the controller the size of the terminal on a descriptor of its own, now and whenever it changes; at its go puts that into raw mode, and sets it as it was when the controller has gone"),
  // the life of a container
  "record-start": op(120, host, ["with-child"], { dir: "text", name: "text", record: "text" }, "writes a file atomically; @PID@, @START@, @SHIM@, @SHIMSTART@ and @TIME@ become pids, their start times in clock ticks and the time (RFC 3339 with nanoseconds), @STDIO@ a JSON array of what the executor has on 0, 1 and 2"),
  "record-pid": op(226, host, ["with-child"], {}, "writes the child's pid, without a line feed, to the file that whoever started the executor has named"),
  "open-shim": op(126, host, [], { socket: "text", log: "text", format: "u32", limitBytes: "u64", files: "u32" }, "opens the log (format 0 none, 1 json-file, 2 CRI; a new file at limitBytes, of which so many are kept) and the socket that supervise serves, so that neither can fail once the program runs"),
  "label-log": op(240, host, [], { attributes: "text" }, "gives every entry of the json-file that open-shim has opened `attrs`: one JSON object"),
  "pack-log": op(282, host, [], { args: "texts", env: "texts" }, "has supervise start this program when the log was turned over, one at a time; when it has ended, the compressed copies that it has made of rotated files take their places"),
  "relay-log": op(297, host, [], { args: "texts", env: "texts" }, "has forward-log start this program, which passes on what comes on its descriptor 0, a socket: `+` there says that it is connected, `-` and a line that it is not and why; started again, at most once a second, when it has ended"),
  "forward-log": op(241, host, [], { protocol: "u32", address: "text", port: "u32", format: "u32", facility: "u32", host: "text", tag: "text", fields: "bytes", patient: "u32", bufferBytes: "u32" }, "sends every line of the log to a receiver as well, with which it must be connected before the program runs. Protocol: 1 datagrams to a unix socket, 2 a stream to one, 3 what it takes of both, 4 UDP, 5 TCP to a numeric address, 6 the program of relay-log, where the address is only told of. Format: 1 the journal's, with `fields` in every entry; 2 syslog as the C library writes it, 3 RFC 3164, 4 RFC 5424, 5 that with microseconds, 6 and 7 the latter two behind their length (RFC 5425), by facility, host and tag. patient 1: a receiver that takes nothing holds the output up, else lines are dropped; bufferBytes: of the socket, 0 for the default"),
  "supervise": op(121, host, ["with-child", "last"], { stdin: "fd?", stdout: "fd?", stderr: "fd?", terminal: "fd?", stopSignal: "u32", cgroup: "fd?", freezer: "u32" }, "stays as the shim: serves the socket, writes the log, reaps; ends when the child has ended. cgroup: what a client may have signalled as a whole and, through the freezer controller (freezer 1) or cgroup.freeze (2), held still"),
  "record-exit": op(122, cleanup, [], { dir: "text", name: "text", record: "text" }, "writes a file atomically as record-start does; @CODE@ is the exit status or 128 + signal, @SIGNAL@ the signal, @OOM@ true if remove-cgroup found that the kernel had killed something for want of memory, @LOST@ the bytes that could not be written to the log"),
  "remove-tree": op(123, ["cleanup", "layer"], [], { dir: "text", name: "text" }, "removes a file or a tree below a host directory, however deep, crossing no symlink; missing is fine"),
  "run-program": op(124, outside, [], { args: "texts", env: "texts" }, "starts a program of the host and does not wait for it"),
  "run-program-asked": op(256, cleanup, [], { marker: "text", args: "texts", env: "texts" }, "the same if there is a file at marker: somebody has asked for it since the start"),
  "kill-child": op(125, cleanup, [], {}, "kills the child if it lives and reaps it"),
  "append-line": op(280, cleanup, [], { path: "text", limitBytes: "u64", line: "text", name: "text", renamed: "text" }, "appends a line to a file of the host that others append to as well, and turn over when it is long; it becomes no longer than limitBytes by this; @CODE@ is the exit status or 128 + signal, @TIME@ the time, @NAME@ what the file `renamed` says, or `name` if there is none"),
  "watch-oom": op(281, host, [], { dir: "fd", path: "text", limitBytes: "u64", line: "text", name: "text", renamed: "text" }, "has supervise append a line, as append-line does, when the kernel has killed something in this cgroup for want of memory: at most one a second; without a memory controller there is nothing to watch"),
  // a further process in a container that runs
  "open-process": op(160, host, [], { pid: "u32", start: "u64", fd: "fd+" }, "opens a process, and proves by its start time in clock ticks that it is still the same"),
  "open-cgroup": op(161, outside, [], { mount: "text", path: "text", dir: "fd+" }, "opens a cgroup that is there, below a cgroup mount"),
  "close-others": op(162, child, ["empties"], { keep: "u32", fd: "fd?" }, "closes every descriptor from 3 + keep on but the one given and the connection to the host side"),
  "set-own-oom-score": op(163, child, [], { value: "text" }, "writes oom_score_adj of the calling process, while it sees the host's proc"),
  "hold-signals": op(164, host, [], {}, "keeps signals for await-exit, so that none is lost when the program may run already"),
  "prove-descriptors": op(166, host, [], { count: "u32" }, "proves that the caller has handed over as many descriptors from 3 on, none of which is the executor's own"),

  // what a container has of the host besides mounts and cgroups
  "move-link": op(200, host, ["with-child"], { name: "text", as: "text", namespace: "fd" }, "moves a network interface into a network namespace under another name, which may be a template with %d, with its permanent global addresses, and sets it up; a start that fails moves it back"),
  "make-resctrl-group": op(201, outside, [], { mount: "text", path: "text", make: "u32", dir: "fd+" }, "opens a group of resctrl below its mount, `/` being the root one; make 1 makes it if it is missing"),
  "write-schemata": op(202, outside, [], { dir: "fd", mount: "text", value: "text" }, "writes what a resctrl group has of cache and memory bandwidth"),
  "join-resctrl-group": op(203, host, ["with-child"], { dir: "fd" }, "moves the child into a resctrl group"),
  "remove-resctrl-group": op(204, cleanup, [], { mount: "text", path: "text" }, "removes a resctrl group; missing is fine"),
  "remount": op(206, child, ["in-root"], { root: "fd", path: "text", options: "texts", set: "u64", clear: "u64", recursive: "u32" }, "changes what is mounted at a path of the root: options of the file system, where there are any, and MOUNT_ATTR_* bits of the mount"),
  "send-listener": op(205, host, ["with-child"], { fd: "fd-", path: "text", state: "text" }, "hands a seccomp notify descriptor with the state to the agent that listens at a unix socket; @PID@ in the state becomes the child's pid"),

  // what containers share: namespaces and mounts of a process, and those of a pod, which are pinned by mounts of the host
  "pin": op(260, host, [], { fd: "fd", path: "text", kind: "u32" }, "attaches a detached mount to a directory of the host (kind 0), the mount of a namespace to a file that is made for it (kind 1), or a detached mount to what is made for it: a directory, or a file where it shows none (kind 2)"),
  "unpin": op(261, cleanup, [], { path: "text", kind: "u32" }, "takes away what pin has attached, and the file of a namespace (kind 1); missing is fine"),
  "end-child": op(262, host, ["with-child"], {}, "ends and reaps the child, which was needed only for what it was in; the plan goes on"),
  "stay": op(263, child, ["confined", "last"], {}, "stays in its namespaces until the host side ends it"),
  "become-pause": op(264, child, ["confined", "last"], { name: "text" }, "becomes a program of a few instructions that holds a pid namespace and reaps what is orphaned in it; name is its last argument"),
  "open-process-namespace": op(265, host, [], { process: "fd", pid: "u32", kind: "u64", fd: "fd+" }, "opens a namespace (a CLONE_NEW* bit) of the process that open-process has proved, which still has its number then"),
  "take-tree": op(266, host, [], { namespace: "fd", path: "text", type: "u64", fd: "fd+" }, "a detached copy of the mount, of a file system of that type (statfs(2)), at a path of a mount namespace, which is open or that of a process; crosses no symlink"),
  "hold-mount": op(290, host, [], { mount: "fd-", held: "fd+" }, "puts a detached mount into a mount namespace that has nothing else and ends with the last descriptor of it"),
  "take-held": op(291, host, [], { process: "fd", pid: "u32", number: "u32", held: "fd+" }, "opens the mount namespace that a process has as its descriptor of this number; open-process has proved the process, which still has its own number then"),
  "keep-held": op(292, host, [], { held: "fd-", number: "u32" }, "keeps a mount namespace as the descriptor of this number, for take-held of others, until this process ends"),

  // containers of other OCI runtimes
  "prepare-runtime": op(267, host, [], {}, "makes this process the parent of what the programs that it starts leave behind, in a mount namespace of its own, into which mounts of the host still come: what a runtime that is killed has mounted goes with it"),
  "run-runtime": op(268, outside, [], { path: "text", args: "texts", env: "texts", directory: "text", stdin: "fd?", stdout: "fd?", stderr: "fd?", timeoutMs: "u32" }, "runs an OCI runtime with these descriptors on 0, 1 and 2, in a directory if one is named, and waits for its end, which must be good"),
  "guard-runtime": op(293, host, [], {}, "puts a process between this one and the runtime that is run next, to which that leaves what it leaves behind, and which kills that when this one ends before dismiss-guard, however it ends"),
  "dismiss-guard": op(294, host, ["with-child"], {}, "ends that process, and what the runtime has left behind is left to this one; the child must be"),
  "adopt-container": op(269, host, ["clone"], { pidFile: "text" }, "takes the process that a runtime has written down as the child; it must have been left to this process, or to the guard of that runtime, and this process goes back to the mounts of the host"),
  "listen-console": op(275, host, [], { dir: "text", name: "text", fd: "fd+" }, "listens at a unix socket that it makes in a directory of the host, at a path of any length"),
  "accept-console": op(276, host, [], { socket: "fd-", fd: "fd+" }, "takes the master of a terminal that a runtime has sent to that socket, and closes the socket"),

  // checkpoint and restore: criu is the child's program, driven over its socket (criu's images/rpc.proto)
  "open-place": op(220, both, [], { root: "fd?", path: "text", directory: "u32", fd: "fd+" }, "opens a directory of the host as a path; with a root, a place in it, making what is missing: a directory (directory 1) or a file"),
  "serve-criu": op(221, child, [], { images: "text", work: "text", network: "fd?", pids: "fd?" }, "makes the socket of `criu swrk 3`, sends the other end to the host side, and puts it on descriptor 3, the two directories on 4 and 5, namespaces on those that follow"),
  "await-criu": op(222, host, ["with-child"], { request: "bytes", point: "text" }, "sends criu a request, or says that it may go on, and waits for its notification of a point, saying yes to all others; without a point for the answer and the end of criu"),
  "take-restored": op(223, host, ["with-child"], {}, "takes the process that criu restores, which its last notification told of, as the child"),
  "receive-console": op(224, host, ["with-child"], { fd: "fd+" }, "takes the descriptor that came with criu's last notification"),
  // unpacking of layers: a session of plans that hold only these; paths are raw bytes and stay in the root
  "layer-root": op(140, layer, [], { path: "text", options: "u32", root: "fd+" }, "opens the directory that a layer is unpacked into; options bit 2: refuse to replace a directory by something else or the other way round; bit 0: pass over owners, devices and xattrs that the kernel refuses to an unprivileged user, bit 1: mark opaque directories with user.overlay instead of trusted.overlay"),
  "layer-directory": op(141, layer, [], { root: "fd", path: "text" }, "makes a directory, replacing what is no directory; over a whiteout it is opaque"),
  "layer-attributes": op(142, layer, [], { root: "fd", path: "text", mode: "u32", uid: "u32", gid: "u32", seconds: "u64", nanoseconds: "u32" }, "gives a directory its owner, mode and time, after all that goes into it; passes over what is no directory any more"),
  "layer-file": op(143, layer, [], { root: "fd", path: "text", mode: "u32", uid: "u32", gid: "u32", seconds: "u64", nanoseconds: "u32", size: "u64", more: "u32", from: "u64", length: "u32" }, "makes a regular file, replacing what is there, and writes a piece of the spool into it; more 1: layer-append follows"),
  "layer-append": op(144, layer, [], { offset: "u64", more: "u32", from: "u64", length: "u32" }, "writes a piece of the spool into the file begun last; more 0 ends it"),
  "layer-link": op(145, layer, [], { root: "fd", path: "text", target: "text" }, "makes a hard link to a path of the same root, following no symlink at its end"),
  "layer-symlink": op(146, layer, [], { root: "fd", path: "text", target: "text", uid: "u32", gid: "u32", seconds: "u64", nanoseconds: "u32" }, "makes a symbolic link, replacing what is there"),
  "layer-node": op(147, layer, [], { root: "fd", path: "text", type: "u32", major: "u32", minor: "u32", mode: "u32", uid: "u32", gid: "u32", seconds: "u64", nanoseconds: "u32" }, "makes a fifo (type 1), a character device (2) or a block device (6), replacing what is there"),
  "layer-xattr": op(148, layer, [], { root: "fd", path: "text", name: "text", value: "bytes" }, "sets an extended attribute, following no symlink at the end of the path; one that the file system does not know is passed over"),
  "layer-whiteout": op(149, layer, [], { root: "fd", path: "text" }, "hides what lower layers have at the path: the 0:0 device of overlay, or the opaque mark where this layer has a directory"),
  "layer-opaque": op(150, layer, [], { root: "fd", path: "text" }, "hides what lower layers have in a directory"),
  "layer-inherit": op(151, layer, [], { root: "fd", path: "text", from: "fd" }, "gives a directory owner, mode, time and extended attributes of the directory at the same path in another root"),
  "layer-close": op(152, layer, [], { root: "fd-" }, "ends the work in a root"),
  "layer-settle": op(153, layer, [], { dir: "text", names: "texts", mark: "text" }, "flushes the file system of a directory to the disk, then makes an empty file in each of its named directories; missing ones are fine"),
  // the root of a container, whether it runs or not, and trees of the host: looked at, and told as frames
  "view-overlay": op(250, layer, [], { lower: "texts", upper: "text", work: "text", options: "u32", root: "fd+" }, "mounts an overlay for this session alone, the topmost lower directory first; without upper and work it takes no writes; options as for layer-root"),
  "view-mount": op(251, layer, [], { root: "fd", path: "text", source: "text", readonly: "u32" }, "shows a path of the host at a path of a view made by view-overlay, making the place if it is missing"),
  "view-container": op(252, layer, [], { pid: "u32", start: "u64", bare: "u32", options: "u32", uid: "u32", gid: "u32", root: "fd+" }, "opens the root of a process, proved by its start time in clock ticks to be the same still; bare 1: without what is mounted below it; options as for layer-root; what is made in it is first this user's, since an id-mapped root knows no other"),
  "tree-stat": op(253, layer, [], { root: "fd", path: "text" }, "tells of what is at a path that holds no symlink above its end: one entry frame"),
  "tree-list": op(254, layer, [], { root: "fd", path: "text" }, "tells of everything in a directory, crossing no symlink: one entry frame each"),
  "tree-read": op(255, layer, [], { root: "fd", path: "text", holes: "u32" }, "tells of a regular file, crossing no symlink, and sends as many bytes of it as the entry says; holes 1: says first which parts have data, and sends those alone"),
  "layer-spool": op(155, layer, [], { bytes: "u64" }, "maps the spool: the file on descriptor 0 through which the controller hands over file data"),
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationName = keyof typeof operations;

/** The value that a step carries for an operand kind; descriptors are registers by name. */
export interface OperandValue {
  readonly u32: number;
  readonly u64: number | bigint;
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly texts: readonly string[];
  readonly numbers: readonly number[];
  readonly fd: string;
  readonly "fd?": string | undefined;
  readonly "fd+": string;
  readonly "fd-": string;
}
