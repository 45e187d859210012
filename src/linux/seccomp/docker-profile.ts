/**
 * Docker's default seccomp policy as data of ours: what moby's profile of 29.4 allows (moby/profiles,
 * seccomp/default_linux.go), grouped by subject. Everything else fails with EPERM.
 *
 * Two known limits that it shares with the original: socketcall(2) of 32-bit programs hides the
 * address family from the filter, so AF_ALG and AF_VSOCK are only blocked for socket(2); and clone3(2)
 * takes its flags by pointer, so it answers ENOSYS and libc falls back to clone(2).
 */
import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall, SeccompArch } from "./policy.ts";

const always = `
  read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek
  open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl
  stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64
  access faccessat faccessat2 name_to_handle_at statmount listmount
  chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 umask
  link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat renameat2
  mkdir mkdirat rmdir mknod mknodat chdir fchdir getcwd getdents getdents64
  truncate truncate64 ftruncate ftruncate64 fallocate fadvise64 fadvise64_64 readahead cachestat
  utime utimes futimesat utimensat utimensat_time64
  sync syncfs fsync fdatasync sync_file_range
  getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat
  listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat
  splice tee vmsplice sendfile sendfile64 copy_file_range
  inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
  pipe pipe2 eventfd eventfd2 signalfd signalfd4
  timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
  poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2
  io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64
  mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall
  brk remap_file_pages membarrier mseal map_shadow_stack pkey_alloc pkey_free pkey_mprotect
  memfd_create memfd_secret
  fork vfork execve execveat exit exit_group wait4 waitid waitpid
  getpid getppid gettid getpgid getpgrp setpgid getsid setsid set_tid_address
  pidfd_open pidfd_send_signal process_mrelease kill tkill tgkill
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn pause restart_syscall
  alarm getitimer setitimer uretprobe
  getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getgroups getgroups32
  getresuid getresuid32 getresgid getresgid32
  setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32
  setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32
  setgroups setgroups32 capget capset prctl seccomp
  landlock_create_ruleset landlock_add_rule landlock_restrict_self
  futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue get_robust_list set_robust_list
  rseq get_thread_area set_thread_area
  sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam
  sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
  sched_rr_get_interval sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set
  getcpu getrlimit setrlimit ugetrlimit prlimit64 getrusage times sysinfo uname riscv_hwprobe
  time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64
  clock_nanosleep clock_nanosleep_time64 nanosleep clock_adjtime clock_adjtime64 adjtimex
  timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
  getrandom
  socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
  send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 socketcall
  ipc shmget shmat shmdt shmctl semget semop semtimedop semtimedop_time64 semctl
  msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_notify mq_getsetattr
  mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64
`;

/** Calls that a capability brings back. */
const byCapability: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_SYS_ADMIN:
    "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr " +
    "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl " +
    "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module init_module finit_module",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
  CAP_SYS_RAWIO: "iopl ioperm",
  CAP_SYS_TIME: "settimeofday stime clock_settime clock_settime64",
  CAP_SYS_TTY_CONFIG: "vhangup",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYSLOG: "syslog",
  CAP_BPF: "bpf",
  CAP_PERFMON: "perf_event_open",
};

/** Calls of some processor families only. */
const byArchitecture: ReadonlyArray<readonly [archs: readonly SeccompArch[], names: string]> = [
  [["SCMP_ARCH_X86_64"], "arch_prctl modify_ldt"],
  [["SCMP_ARCH_X86"], "modify_ldt"],
  [
    ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
  ],
  [["SCMP_ARCH_PPC64LE"], "sync_file_range2 swapcontext"],
  [["SCMP_ARCH_S390", "SCMP_ARCH_S390X"], "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"],
  [["SCMP_ARCH_RISCV64"], "riscv_flush_icache"],
];

/** The smaller architectures whose programs a machine also runs. */
const subArchitectures: Partial<Readonly<Record<SeccompArch, readonly SeccompArch[]>>> = {
  SCMP_ARCH_X86_64: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  SCMP_ARCH_AARCH64: ["SCMP_ARCH_ARM"],
  SCMP_ARCH_MIPS64: ["SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64N32"],
  SCMP_ARCH_MIPS64N32: ["SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64"],
  SCMP_ARCH_MIPSEL64: ["SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64N32"],
  SCMP_ARCH_MIPSEL64N32: ["SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64"],
  SCMP_ARCH_S390X: ["SCMP_ARCH_S390"],
  SCMP_ARCH_RISCV64: [],
};

/** personality(2) values: LINUX, LINUX32, each with UNAME26, and "tell me". */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** CLONE_NEW* of clone(2): NS, CGROUP, UTS, IPC, USER, PID, NET. */
const newNamespaces = 0x7e020000;

const afAlg = 38;
const afVsock = 40;
const enosys = 38;

export interface DockerSeccompInput {
  /** The bounding set: names as in the OCI config, "CAP_SYS_ADMIN". */
  readonly capabilities: Iterable<string>;
  /** The architecture of the machine. */
  readonly architecture: SeccompArch;
  /** Version of the running kernel, "6.1.0-18-amd64" or [6, 1]; before 4.8 ptrace bypassed seccomp. */
  readonly kernel: string | readonly [major: number, minor: number];
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

function allow(names: readonly string[], ...args: readonly LinuxSeccompArg[]): LinuxSyscall {
  return args.length === 0 ? { names, action: "SCMP_ACT_ALLOW" } : { names, action: "SCMP_ACT_ALLOW", args };
}

function atLeast(kernel: DockerSeccompInput["kernel"], major: number, minor: number): boolean {
  const [a, b] = typeof kernel === "string" ? (kernel.match(/\d+/g) ?? []).map(Number) : kernel;
  return (a ?? 0) > major || ((a ?? 0) === major && (b ?? 0) >= minor);
}

/** The default policy for a container with these capabilities on this machine. */
export function dockerSeccompPolicy({
  capabilities,
  architecture,
  kernel,
}: DockerSeccompInput): LinuxSeccomp {
  const held = new Set(capabilities);
  const administrator = held.has("CAP_SYS_ADMIN");
  const s390 = architecture === "SCMP_ARCH_S390" || architecture === "SCMP_ARCH_S390X";
  const syscalls: LinuxSyscall[] = [allow(words(always))];

  if (atLeast(kernel, 4, 8)) syscalls.push(allow(["process_vm_readv", "process_vm_writev", "ptrace"]));
  // three ranges rather than two "not equal": conditions on one argument in one rule are alternatives
  syscalls.push(
    allow(["socket"], { index: 0, value: afAlg, op: "SCMP_CMP_LT" }),
    allow(["socket"], { index: 0, value: afAlg + 1, op: "SCMP_CMP_EQ" }),
    allow(["socket"], { index: 0, value: afVsock, op: "SCMP_CMP_GT" }),
  );
  for (const value of personalities)
    syscalls.push(allow(["personality"], { index: 0, value, op: "SCMP_CMP_EQ" }));
  for (const [archs, names] of byArchitecture)
    if (archs.includes(architecture)) syscalls.push(allow(words(names)));
  for (const [capability, names] of Object.entries(byCapability))
    if (held.has(capability)) syscalls.push(allow(words(names)));
  if (!administrator)
    syscalls.push(
      // the raw call takes its flags in another place on s390 (clone(2), "C library/kernel differences")
      allow(["clone"], { index: s390 ? 1 : 0, value: newNamespaces, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }),
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: enosys },
    );

  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: [architecture, ...(subArchitectures[architecture] ?? [])],
    syscalls,
  };
}
