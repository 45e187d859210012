/*
 * The birth of the child, its namespaces and their ids. What runs after clone runs in a copy of the executor's
 * memory, alone.
 */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"

#define NS_GET_NSTYPE 0xb703

static pid_t clone_process(uint64_t flags, int exit_signal, int cgroup, int *pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.exit_signal = (uint64_t)exit_signal,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
	};
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

int op_clone(struct executor *x, const struct step *s)
{
	int pair[2], pidfd = -1;
	uint64_t flags = s->v[CLONE_NAMESPACES].number;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail(x, errno, "socketpair");
	pid_t pid = clone_process(flags, SIGCHLD, reg(x, &s->v[CLONE_CGROUP]), &pidfd);
	if (pid < 0) {
		int error = errno;
		close(pair[0]);
		close(pair[1]);
		return fail(x, error, "clone with namespaces 0x%llx", (unsigned long long)flags);
	}
	if (pid == 0) {
		close(pair[0]);
		if (x->controller >= 0)
			close(x->controller);
		x->controller = -1;
		x->peer = pair[1];
		umask(0);
		run_child(x);
	}
	close(pair[1]);
	x->peer = pair[0];
	x->child = pid;
	x->child_pidfd = pidfd;
	return 0;
}

int op_fork_again(struct executor *x, const struct step *s)
{
	int pidfd = -1, told[2];
	char none;
	if (pipe2(told, O_CLOEXEC) < 0)
		return fail(x, errno, "pipe");
	/* with CLONE_PARENT the kernel takes the exit signal of the caller's own birth */
	pid_t pid = clone_process(s->v[FORK_AGAIN_NAMESPACES].number | CLONE_PARENT, 0, -1, &pidfd);
	int error = errno;
	close(told[pid == 0]);
	if (pid == 0) {
		/* both have the same socket: what this one says must come behind the word of it */
		while (read(told[0], &none, 1) < 0 && errno == EINTR)
			;
		close(told[0]);
		return 0;
	}
	/* seen from here the new process has its number on the host side: only its children see others */
	int r = pid < 0 ? 0 : peer_send(x, PEER_CHILD, (uint32_t)pid, pidfd);
	if (r < 0)
		sys_pidfd_send_signal(pidfd, SIGKILL);
	close(told[1]);
	if (pid < 0)
		return fail(x, error, "clone");
	if (r == 0)
		_exit(0);
	return fail(x, -r, "hand over the new process");
}

int op_adopt_child(struct executor *x, const struct step *s)
{
	(void)s;
	int status, r, fd = -1;
	uint32_t number = 0;
	struct {
		uint32_t kind, number;
	} peek;
	/* the new process holds the socket too, so the end of the old one is no end of file there */
	struct pollfd either[] = {{.fd = x->peer, .events = POLLIN}, {.fd = x->child_pidfd, .events = POLLIN}};
	while (poll(either, countof(either), -1) < 0 && errno == EINTR)
		;
	ssize_t n = recv(x->peer, &peek, sizeof peek, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return fail(x, ECHILD, "the child ended before it was followed");
	if (n == (ssize_t)sizeof peek && peek.kind == PEER_CHILD)
		number = peek.number;
	r = peer_receive(x, PEER_CHILD, number, &fd);
	if (r < 0)
		return r == -ECANCELED ? r : fail(x, -r, "adopt child");
	close(x->child_pidfd);
	waitpid(x->child, &status, 0);
	x->child = (pid_t)number;
	x->child_pidfd = fd;
	return 0;
}

/* --- namespaces --- */

static bool is_own_mount_namespace(int fd)
{
	struct stat own, other;
	return stat("/proc/self/ns/mnt", &own) == 0 && fstat(fd, &other) == 0 && own.st_ino == other.st_ino &&
	       own.st_dev == other.st_dev;
}

bool is_namespace(int fd, uint64_t kind)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC && ioctl(fd, NS_GET_NSTYPE) == (int)kind;
}

int op_open_namespace(struct executor *x, const struct step *s)
{
	const char *path = s->v[OPEN_NAMESPACE_PATH].text.at;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(x, errno, "%s", path);
	if (!is_namespace(fd, s->v[OPEN_NAMESPACE_KIND].number)) {
		close(fd);
		return fail(x, EINVAL, "%s is not a namespace of the kind that is asked for", path);
	}
	/* joined, it would get the container's root over the host's own */
	if (s->v[OPEN_NAMESPACE_KIND].number == CLONE_NEWNS && is_own_mount_namespace(fd)) {
		close(fd);
		return fail(x, EINVAL, "%s is the mount namespace of this process", path);
	}
	set_reg(x, &s->v[OPEN_NAMESPACE_FD], fd);
	return 0;
}

/* Of the process with this number, which the caller has or holds a pidfd of. */
static int open_namespace_of(struct executor *x, pid_t pid, uint64_t kind, const union operand *to)
{
	static const struct {
		uint64_t flag;
		const char *name;
	} kinds[] = {{CLONE_NEWUSER, "user"}, {CLONE_NEWNS, "mnt"}, {CLONE_NEWNET, "net"}, {CLONE_NEWPID, "pid"},
	             {CLONE_NEWIPC, "ipc"},   {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"}};
	char path[64];
	for (size_t i = 0; i < countof(kinds); i++) {
		if (kinds[i].flag != kind)
			continue;
		snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kinds[i].name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fail(x, errno, "%s", path);
		set_reg(x, to, fd);
		return 0;
	}
	return fail(x, EINVAL, "no such kind of namespace");
}

int op_open_child_namespace(struct executor *x, const struct step *s)
{
	return open_namespace_of(x, x->child, s->v[OPEN_CHILD_NAMESPACE_KIND].number, &s->v[OPEN_CHILD_NAMESPACE_FD]);
}

int op_open_process_namespace(struct executor *x, const struct step *s)
{
	int process = reg(x, &s->v[OPEN_PROCESS_NAMESPACE_PROCESS]);
	pid_t pid = (pid_t)s->v[OPEN_PROCESS_NAMESPACE_PID].number;
	const union operand *to = &s->v[OPEN_PROCESS_NAMESPACE_FD];
	int r = open_namespace_of(x, pid, s->v[OPEN_PROCESS_NAMESPACE_KIND].number, to);
	if (r < 0)
		return r;
	/* a process that is not reaped yet still has its number: nobody else had it when the path was opened */
	if (sys_pidfd_send_signal(process, 0) == 0)
		return 0;
	int error = errno;
	close(reg(x, to));
	set_reg(x, to, -1);
	return fail(x, error, "process %d", pid);
}

int op_join_namespace(struct executor *x, const struct step *s)
{
	uint64_t kind = s->v[JOIN_NAMESPACE_KIND].number;
	if (setns(reg(x, &s->v[JOIN_NAMESPACE_FD]), (int)kind) < 0)
		return fail(x, errno, "setns 0x%llx", (unsigned long long)kind);
	return 0;
}

int op_unshare(struct executor *x, const struct step *s)
{
	uint64_t flags = s->v[UNSHARE_NAMESPACES].number;
	return unshare((int)flags) < 0 ? fail(x, errno, "unshare 0x%llx", (unsigned long long)flags) : 0;
}

int op_set_time_offset(struct executor *x, const struct step *s)
{
	const struct bytes *text = &s->v[SET_TIME_OFFSET_OFFSETS].text;
	int r = write_file_at(AT_FDCWD, "/proc/self/timens_offsets", text->at, text->length);
	return r < 0 ? fail(x, -r, "timens_offsets") : 0;
}

/* --- ids --- */

/* Runs newuidmap or newgidmap: its arguments are the pid and the words of the map. */
static int run_map_helper(struct executor *x, const char *helper, const char *map)
{
	char words[16384], pid[16], *argv[1024] = {(char *)(uintptr_t)helper, pid};
	size_t count = 2;
	int status;
	snprintf(pid, sizeof pid, "%d", x->child);
	if (strlen(map) >= sizeof words)
		return fail(x, E2BIG, "id map");
	strcpy(words, map);
	for (char *word = strtok(words, " \n"); word && count < countof(argv) - 1; word = strtok(NULL, " \n"))
		argv[count++] = word;
	argv[count] = NULL;
	int said[2];
	if (pipe2(said, O_CLOEXEC) < 0)
		return fail(x, errno, "pipe");
	pid_t child = fork();
	if (child == 0) {
		dup2(said[1], 2);
		execv(helper, argv);
		_exit(127);
	}
	close(said[1]);
	/* it says in one line which range the user may not map */
	char reason[400];
	ssize_t length = child < 0 ? 0 : read(said[0], reason, sizeof reason - 1);
	close(said[0]);
	reason[length > 0 ? length : 0] = 0;
	reason[strcspn(reason, "\n")] = 0;
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		return fail(x, EPERM, "%s", *reason ? reason : helper);
	return 0;
}

int op_write_id_map(struct executor *x, const struct step *s)
{
	const struct bytes *map = &s->v[WRITE_ID_MAP_MAP].text;
	const char *file = s->v[WRITE_ID_MAP_KIND].number ? "gid_map" : "uid_map";
	int r = 0;
	if (s->v[WRITE_ID_MAP_SETGROUPS].number) {
		r = write_proc_of(x->child, "setgroups", "deny", 4);
		if (r < 0)
			return fail(x, -r, "setgroups");
	}
	if (s->v[WRITE_ID_MAP_HELPER].text.length)
		return run_map_helper(x, s->v[WRITE_ID_MAP_HELPER].text.at, map->at);
	r = write_proc_of(x->child, file, map->at, map->length);
	return r < 0 ? fail(x, -r, "%s = %s", file, map->at) : 0;
}

int op_become_root(struct executor *x, const struct step *s)
{
	(void)s;
	/* where setgroups is denied the groups stay as they were; nothing else may fail */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return fail(x, errno, "setgroups");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return fail(x, errno, "uid 0 of the user namespace");
	prctl(PR_SET_DUMPABLE, 0);
	return 0;
}

int op_make_user_namespace(struct executor *x, const struct step *s)
{
	char path[64];
	int status, r;
	pid_t parent = getpid();
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0) {
		/* lives for as long as its maps are written, and no longer than who writes them */
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	if (pid < 0)
		return fail(x, errno, "user namespace");
	const struct bytes *uids = &s->v[MAKE_USER_NAMESPACE_UID_MAP].text, *gids = &s->v[MAKE_USER_NAMESPACE_GID_MAP].text;
	r = write_proc_of(pid, "uid_map", uids->at, uids->length);
	if (r == 0)
		r = write_proc_of(pid, "gid_map", gids->at, gids->length);
	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	int fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = -errno;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (r < 0)
		return fail(x, -r, "id maps");
	set_reg(x, &s->v[MAKE_USER_NAMESPACE_FD], fd);
	return 0;
}

/* --- what belongs to a new namespace --- */

int op_set_hostname(struct executor *x, const struct step *s)
{
	const struct bytes *name = &s->v[SET_HOSTNAME_NAME].text;
	return sethostname(name->at, name->length) < 0 ? fail(x, errno, "%s", name->at) : 0;
}

int op_set_domainname(struct executor *x, const struct step *s)
{
	const struct bytes *name = &s->v[SET_DOMAINNAME_NAME].text;
	return setdomainname(name->at, name->length) < 0 ? fail(x, errno, "%s", name->at) : 0;
}
