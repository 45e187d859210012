/*
 * What outlives the processes that made it: namespaces and file systems of a pod, held by mounts of the host or by a
 * pause process; and a mount that is taken from another container.
 */
#include <elf.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "executor.h"

enum { PIN_MOUNT = 0, PIN_NAMESPACE = 1, PIN_NEW = 2 };

static int new_file(const char *path)
{
	return open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
}

/* What can be mounted over: a directory takes a directory only, and a file anything else. fd, or -1. */
static int place_for(int mount, const char *path, uint64_t kind)
{
	struct stat shown;
	if (kind == PIN_NEW) {
		if (fstat(mount, &shown) < 0)
			return -1;
		if (!S_ISDIR(shown.st_mode))
			return new_file(path);
		if (mkdir(path, 0700) < 0)
			return -1;
	}
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int op_pin(struct executor *x, const struct step *s)
{
	const char *path = s->v[PIN_PATH].text.at;
	int fd = reg(x, &s->v[PIN_FD]), mount = fd, place, r = 0;
	if (s->v[PIN_KIND].number == PIN_NAMESPACE) {
		mount = sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (mount < 0)
			return fail(x, errno, "mount of a namespace");
		place = new_file(path);
	} else
		place = place_for(mount, path, s->v[PIN_KIND].number);
	if (place < 0 || attach_mount(mount, place) < 0)
		r = -errno;
	if (place >= 0)
		close(place);
	if (mount != fd)
		close(mount);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

int op_unpin(struct executor *x, const struct step *s)
{
	const char *path = s->v[UNPIN_PATH].text.at;
	/* EINVAL: nothing is mounted there */
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		return fail(x, errno, "%s", path);
	if (s->v[UNPIN_KIND].number == PIN_NAMESPACE && unlink(path) < 0 && errno != ENOENT)
		return fail(x, errno, "%s", path);
	return 0;
}

int op_end_child(struct executor *x, const struct step *s)
{
	(void)s;
	int r = kill_child(x);
	if (r < 0)
		return r;
	close(x->child_pidfd);
	close(x->peer);
	x->child_pidfd = x->peer = -1;
	x->child = 0;
	x->child_reaped = false;
	return 0;
}

int op_stay(struct executor *x, const struct step *s)
{
	(void)s;
	struct pollfd other = {.fd = x->peer, .events = POLLIN};
	while (poll(&other, 1, -1) < 0 && errno == EINTR)
		;
	_exit(0);
}

int op_take_tree(struct executor *x, const struct step *s)
{
	const char *path = s->v[TAKE_TREE_PATH].text.at;
	struct statfs fs;
	int error = 0, tree = -1, own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own < 0 || setns(reg(x, &s->v[TAKE_TREE_NAMESPACE]), CLONE_NEWNS) < 0) {
		error = errno;
		if (own >= 0)
			close(own);
		return fail(x, error, "mount namespace of the other container");
	}
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int place = root < 0 ? -errno : open_in_root(root, path, O_PATH, RESOLVE_NO_SYMLINKS);
	if (place < 0)
		error = -place;
	else if (fstatfs(place, &fs) < 0 || (uint64_t)fs.f_type != s->v[TAKE_TREE_TYPE].number)
		error = EXDEV;
	else if ((tree = sys_open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)) < 0)
		error = errno;
	if (place >= 0)
		close(place);
	if (root >= 0)
		close(root);
	/* root and working directory come back with it */
	if (setns(own, CLONE_NEWNS) < 0)
		_exit(125);
	close(own);
	if (error == EXDEV)
		return fail(x, error, "what is at %s of the other container was put there by itself", path);
	if (error)
		return fail(x, error, "%s of the other container", path);
	set_reg(x, &s->v[TAKE_TREE_FD], tree);
	return 0;
}

/* --- the pause process --- */

/*
 * All of it: what is orphaned in its pid namespace is reaped by the kernel, since SIGCHLD is ignored, and it sleeps.
 * Signals from inside reach no process 1 that does not handle them; the host's SIGKILL does.
 */
#if defined __x86_64__
#define PAUSE_MACHINE EM_X86_64
#define PAUSE_CODE                                                        \
	"push $0; push $0; push $0; push $1\n" /* mask, restorer, flags, SIG_IGN */ \
	"mov %rsp, %rsi; xor %edx, %edx; mov $17, %edi; mov $8, %r10d\n"      \
	"mov $13, %eax; syscall\n"                                            \
	"mov $15, %edi; lea 8f(%rip), %rsi; mov $157, %eax; syscall\n" /* PR_SET_NAME */ \
	"9: mov $34, %eax; syscall; jmp 9b\n"                                 \
	"8: .asciz \"gantry-pause\"\n"
#elif defined __aarch64__
#define PAUSE_MACHINE EM_AARCH64
#define PAUSE_CODE                                                        \
	"mov x9, #1; stp x9, xzr, [sp, #-32]!; stp xzr, xzr, [sp, #16]\n"     \
	"mov x0, #17; mov x1, sp; mov x2, #0; mov x3, #8; mov x8, #134; svc #0\n" \
	"mov x0, #15; adr x1, 8f; mov x8, #167; svc #0\n"                      \
	"9: mov x0, #0; mov x1, #0; mov x2, #0; mov x3, #0; mov x4, #0\n"     \
	"mov x8, #73; svc #0; b 9b\n"                                         \
	"8: .asciz \"gantry-pause\"\n"
#endif

__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        ".global pause_code, pause_code_end\n"
        "pause_code:\n" PAUSE_CODE
        "pause_code_end:\n"
        ".popsection\n");
extern const char pause_code[], pause_code_end[];

/* A whole program in memory that can no longer change: two headers and the code. */
static int pause_program(void)
{
	enum { base = 0x400000, mfd_exec = 0x10 };
	size_t code = (size_t)(pause_code_end - pause_code);
	struct {
		Elf64_Ehdr elf;
		Elf64_Phdr load, stack;
	} head = {
		.elf = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		        .e_type = ET_EXEC,
		        .e_machine = PAUSE_MACHINE,
		        .e_version = EV_CURRENT,
		        .e_entry = base + sizeof head,
		        .e_phoff = sizeof head.elf,
		        .e_ehsize = sizeof head.elf,
		        .e_phentsize = sizeof head.load,
		        .e_phnum = 2},
		.load = {.p_type = PT_LOAD,
		         .p_flags = PF_R | PF_X,
		         .p_vaddr = base,
		         .p_paddr = base,
		         .p_filesz = sizeof head + code,
		         .p_memsz = sizeof head + code,
		         .p_align = 4096},
		.stack = {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W},
	};
	int fd = (int)syscall(SYS_memfd_create, "gantry-pause", MFD_CLOEXEC | MFD_ALLOW_SEALING | mfd_exec);
	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_memfd_create, "gantry-pause", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, &head, sizeof head);
	if (r == 0)
		r = write_all(fd, pause_code, code);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int op_become_pause(struct executor *x, const struct step *s)
{
	char *const args[] = {(char *)"gantry-pause", (char *)(uintptr_t)s->v[BECOME_PAUSE_NAME].text.at, NULL};
	char *const env[] = {NULL};
	int fd = pause_program();
	if (fd < 0)
		return fail(x, -fd, "pause program");
	sys_close_range(0, 2, CLOSE_RANGE_CLOEXEC);
	syscall(SYS_execveat, fd, "", args, env, AT_EMPTY_PATH);
	return fail(x, errno, "execute the pause program");
}
