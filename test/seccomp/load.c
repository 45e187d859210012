/*
 * Hands a program to the kernel.
 *
 *   load seccomp FLAGS FILE   loads the filter, prints the microseconds that took, then tries some calls
 *                             under it and prints "name errno" for each (0: allowed)
 *   load device FILE          loads an eBPF program of type CGROUP_DEVICE; prints "ok" or the verifier's log
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void *read_file(const char *path, size_t *size) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) exit(2);
  *size = (size_t)st.st_size;
  void *bytes = malloc(*size + 1);
  if (!bytes || read(fd, bytes, *size) != st.st_size) exit(2);
  close(fd);
  return bytes;
}

static void try(const char *name, long number, long a, long b, long c) {
  errno = 0;
  long result = syscall(number, a, b, c, 0, 0, 0);
  printf("%s %d\n", name, result < 0 ? errno : 0);
}

#ifdef __x86_64__
/* A call by the 32-bit entry: the kernel reports it as AUDIT_ARCH_I386. */
static void try_i386(const char *name, long number, long a) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(0L), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
  printf("%s %d\n", name, result < 0 && result > -4096 ? (int)-result : 0);
}
#endif

static int load_seccomp(unsigned long flags, const char *path) {
  size_t size;
  struct sock_filter *code = read_file(path, &size);
  struct sock_fprog program = {.len = (unsigned short)(size / sizeof *code), .filter = code};
  struct timespec before, after;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 3;
  clock_gettime(CLOCK_MONOTONIC, &before);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0) {
    printf("load %d\n", errno);
    return 0;
  }
  clock_gettime(CLOCK_MONOTONIC, &after);
  printf("load 0\nmicroseconds %ld\n", (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000);
  try("getpid", SYS_getpid, 0, 0, 0);
  try("socket inet", SYS_socket, 2, 1, 0);
  try("socket alg", SYS_socket, 38, 5, 0);
  try("socket vsock", SYS_socket, 40, 1, 0);
  try("personality query", SYS_personality, 0xffffffff, 0, 0);
  try("personality svr4", SYS_personality, 1, 0, 0);
  try("unshare", SYS_unshare, 0x400 /* CLONE_FILES */, 0, 0);
  try("clone newuser", SYS_clone, 0x10000000, 0, 0);
  try("clone3", 435, 0, 0, 0);
  try("keyctl", SYS_keyctl, 0, 0, 0);
  try("call 600", 600, 0, 0, 0);
#ifdef __x86_64__
  try_i386("i386 getpid", 20, 0);
  try_i386("i386 unshare", 310, 0x400);
  try_i386("i386 call 600", 600, 0);
#endif
  return 0;
}

static int load_device(const char *path) {
  size_t size;
  static char log[1 << 16];
  void *code = read_file(path, &size);
  union bpf_attr attr = {
      .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
      .insn_cnt = (uint32_t)(size / 8),
      .insns = (uint64_t)(uintptr_t)code,
      .license = (uint64_t)(uintptr_t) "Apache-2.0",
      .log_buf = (uint64_t)(uintptr_t)log,
      .log_size = sizeof log,
      .log_level = 1,
  };
  long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
  if (fd < 0) printf("errno %d\n%s", errno, log);
  else printf("ok\n");
  return 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  if (argc == 4 && !strcmp(argv[1], "seccomp")) return load_seccomp(strtoul(argv[2], NULL, 0), argv[3]);
  if (argc == 3 && !strcmp(argv[1], "device")) return load_device(argv[2]);
  return 1;
}
