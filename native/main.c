/*
 * Entry. The executor takes its plan from an inherited descriptor only:
 *
 *     gantry-executor dialogue 3     frames on descriptor 3 (a stream socket); one plan
 *     gantry-executor layers 3       the same, plans of a layer session until end of file
 *     gantry-executor plan 3 [PID [FILE]]
 *                                    descriptor 3 is a file that holds one plan, no dialogue; PID is a child that
 *                                    wrote it, or 0; FILE is where record-pid writes
 *     gantry-executor init -- args   the tiny init inside a container
 *
 * Under any other name this is the command that users call: entry.c.
 *
 * Before anything else it becomes a sealed copy of itself in memory: a container that reaches its
 * executable through /proc then reaches nothing that anybody else runs (CVE-2019-5736), nor a page
 * of a file that a page-cache bug could write to (CVE-2022-0847).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "executor.h"

extern char **environ;

static int die(const char *what)
{
	dprintf(2, "gantry-executor: %s: %s\n", what, strerror(errno));
	return 125;
}

/* True if /proc/self/exe is a memfd that can no longer change. */
static bool is_sealed(int self)
{
	int seals = fcntl(self, F_GET_SEALS);
	int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	return seals >= 0 && (seals & all) == all;
}

int sealed_copy(void)
{
	struct stat st;
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	/* where vm.memfd_noexec is set it must be said that this one is to be executed (Linux 6.3) */
	enum { mfd_exec = 0x10 };
	int copy = (int)syscall(SYS_memfd_create, "gantry-executor", MFD_CLOEXEC | MFD_ALLOW_SEALING | mfd_exec);
	if (copy < 0 && errno == EINVAL)
		copy = (int)syscall(SYS_memfd_create, "gantry-executor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (self < 0 || copy < 0 || fstat(self, &st) < 0)
		return -1;
	for (off_t offset = 0; offset < st.st_size;)
		if (sendfile(copy, self, &offset, (size_t)(st.st_size - offset)) <= 0)
			return -1;
	close(self);
	return fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ? -1 : copy;
}

/* Executes a sealed copy; returns only on failure or if this is one. */
static int seal_self(char **argv)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (self < 0)
		return -1;
	bool sealed = is_sealed(self);
	close(self);
	int copy = sealed ? -1 : sealed_copy();
	if (sealed || copy < 0)
		return sealed ? 0 : -1;
	return (int)syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
}

/* Maps the plan in: its bytes stay for the clean-up, so they are not on the heap. */
static uint8_t *plan_room(size_t bytes)
{
	void *room = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return room == MAP_FAILED ? NULL : room;
}

static int load(struct executor *x, const uint8_t *at, size_t bytes)
{
	if (plan_check(at, bytes, &x->plan, &x->failure) < 0) {
		if (x->controller >= 0)
			report_failure(x);
		else
			dprintf(2, "gantry-executor: refused plan: %s\n", x->failure.detail);
		return -1;
	}
	mprotect((void *)(uintptr_t)at, bytes, PROT_READ);
	return 0;
}

static int serve_dialogue(struct executor *x, int fd)
{
	uint32_t bytes;
	x->controller = fd;
	int type = read_frame_header(fd, &bytes);
	if (type != REQUEST_PLAN)
		return 1;
	uint8_t *room = plan_room(bytes);
	if (!room || read_all(fd, room, bytes) < 0)
		return 1;
	return load(x, room, bytes) < 0 ? 1 : run_plan(x);
}

static int run_file(struct executor *x, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size > (off_t)FRAME_LIMIT)
		return die("read plan");
	uint8_t *room = plan_room((size_t)st.st_size);
	if (!room || lseek(fd, 0, SEEK_SET) < 0 || read_all(fd, room, (size_t)st.st_size) < 0)
		return die("read plan");
	close(fd);
	int status = load(x, room, (size_t)st.st_size) < 0 ? 125 : run_plan(x);
	reap_compiler(x, 0);
	return status;
}

/* True for the executor, also as its sealed copy; false for the commands, which are links to the same file. */
static bool is_executor(const char *self)
{
	const char *name = strrchr(self, '/');
	return !name || strcmp(name + 1, "gantry-executor") == 0 || strncmp(self, "/memfd:", 7) == 0;
}

/* Before anything is written: where huge pages are given unasked, the first byte of a buffer for long records would cost 2 MiB for as long as a shim stays. */
static void keep_small(void)
{
	extern char __bss_start[], _end[];
	uintptr_t page = 4096, start = ((uintptr_t)__bss_start + page - 1) & -page;
	madvise((void *)start, (uintptr_t)_end - start, MADV_NOHUGEPAGE);
}

int main(int argc, char **argv)
{
	static struct executor x;
	static char self[4096];
	keep_small();
	if (argc > 1 && strcmp(argv[1], "init") == 0)
		return run_init(argc, argv);
	if (readlink("/proc/self/exe", self, sizeof self - 1) > 0 && !is_executor(self))
		return run_entry(self, argv);
	if (argc < 3 || argc > 5)
		return dprintf(2, "usage: gantry-executor dialogue|layers|plan FD [PID [FILE]]\n"), 125;
	if (seal_self(argv) < 0)
		return die("become a sealed copy");
	/*
	 * Nobody may look into a process that holds host descriptors (CVE-2016-9962). One without
	 * privileges holds what its user may have anyway, and must stay dumpable: the files in /proc of
	 * one that is not belong to root, so it could not write the id maps of its own child.
	 */
	if (geteuid() == 0)
		prctl(PR_SET_DUMPABLE, 0);
	int fd = atoi(argv[2]);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	x.trace = x.host_mounts = x.controller = x.peer = x.child_pidfd = x.starter = x.criu.socket = x.criu.passed = -1;
	memset(x.registers, 0xff, sizeof x.registers);
	x.compiler = argc > 3 ? atoi(argv[3]) : 0;
	x.pid_file = argc > 4 ? argv[4] : NULL;
	if (strcmp(argv[1], "dialogue") == 0)
		return serve_dialogue(&x, fd);
	if (strcmp(argv[1], "layers") == 0)
		return run_layer_session(&x, fd);
	if (strcmp(argv[1], "plan") == 0)
		return run_file(&x, fd);
	return dprintf(2, "gantry-executor: no such mode: %s\n", argv[1]), 125;
}
