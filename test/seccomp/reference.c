/*
 * Builds seccomp policies through libseccomp, in the way runc does, and prints their BPF.
 *
 * stdin, one word group a line:
 *   policy DEFAULT OPTIMIZE        numbers: SECCOMP_RET_* value, 1 (list) or 2 (tree)
 *   arch NAME                      libseccomp's name ("x86_64"); the first one replaces the native one
 *   rule ACTION NAME [I OP A B]... OP as enum scmp_compare, A and B as in an OCI config
 *   end                            prints the policy
 *   resolve NAME                   prints one byte: 1 if libseccomp knows the name on this machine
 * stdout for a policy: 32-bit length and that many bytes, or 0xffffffff and a 32-bit errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void put(uint32_t value) { fwrite(&value, sizeof value, 1, stdout); }

static void finish(scmp_filter_ctx ctx, int failure) {
  if (failure == 0) {
    int fd = memfd_create("bpf", 0);
    failure = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
    if (failure == 0) {
      off_t size = lseek(fd, 0, SEEK_END);
      char *bytes = malloc((size_t)size);
      if (!bytes || pread(fd, bytes, (size_t)size, 0) != size) exit(3);
      put((uint32_t)size);
      fwrite(bytes, 1, (size_t)size, stdout);
      free(bytes);
    }
    if (fd >= 0) close(fd);
  }
  if (failure != 0) {
    put(0xffffffff);
    put((uint32_t)-failure);
  }
  seccomp_release(ctx);
}

/* As runc's matchCall: an argument named twice makes each condition a rule of its own. */
static int add_rule(scmp_filter_ctx ctx, uint32_t action, int number, struct scmp_arg_cmp *args, unsigned count) {
  unsigned seen[6] = {0};
  int repeated = 0;
  for (unsigned i = 0; i < count; i++)
    if (seen[args[i].arg]++) repeated = 1;
  if (!repeated) return seccomp_rule_add_array(ctx, action, number, count, args);
  for (unsigned i = 0; i < count; i++) {
    int result = seccomp_rule_add_array(ctx, action, number, 1, &args[i]);
    if (result < 0) return result;
  }
  return 0;
}

int main(void) {
  char *line = NULL;
  size_t room = 0;
  scmp_filter_ctx ctx = NULL;
  uint32_t by_default = 0;
  int failure = 0, own_arch = 0;
  while (getline(&line, &room, stdin) > 0) {
    char *word = strtok(line, " \n");
    if (!word) continue;
    if (!strcmp(word, "resolve")) {
      putchar(seccomp_syscall_resolve_name(strtok(NULL, " \n")) == __NR_SCMP_ERROR ? 0 : 1);
    } else if (!strcmp(word, "policy")) {
      by_default = (uint32_t)strtoul(strtok(NULL, " \n"), NULL, 0);
      ctx = seccomp_init(by_default);
      if (!ctx) return 2;
      failure = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, (uint32_t)atoi(strtok(NULL, " \n")));
      own_arch = 0;
    } else if (!strcmp(word, "arch")) {
      uint32_t token = seccomp_arch_resolve_name(strtok(NULL, " \n"));
      if (!own_arch && token != seccomp_arch_native()) failure = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
      own_arch = 1;
      if (!failure && token != seccomp_arch_native()) failure = seccomp_arch_add(ctx, token);
      if (!failure && token == seccomp_arch_native() && seccomp_arch_exist(ctx, token)) failure = seccomp_arch_add(ctx, token);
    } else if (!strcmp(word, "rule")) {
      uint32_t action = (uint32_t)strtoul(strtok(NULL, " \n"), NULL, 0);
      int number = seccomp_syscall_resolve_name(strtok(NULL, " \n"));
      struct scmp_arg_cmp args[16];
      unsigned count = 0;
      for (char *index; count < 16 && (index = strtok(NULL, " \n")); count++) {
        args[count].arg = (unsigned)atoi(index);
        args[count].op = (enum scmp_compare)atoi(strtok(NULL, " \n"));
        args[count].datum_a = strtoull(strtok(NULL, " \n"), NULL, 0);
        args[count].datum_b = strtoull(strtok(NULL, " \n"), NULL, 0);
      }
      if (action != by_default && number != __NR_SCMP_ERROR && !failure)
        failure = add_rule(ctx, action, number, args, count);
    } else if (!strcmp(word, "end")) {
      finish(ctx, failure);
    } else {
      return 4;
    }
  }
  free(line);
  return fflush(stdout) == 0 ? 0 : 5;
}
