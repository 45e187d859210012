/*
 * The child: its birth, its namespaces and ids, its confinement and the exec that ends it. What runs
 * after clone runs in a copy of the executor's memory, alone.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"

#define NSFS_MAGIC 0x6e736673
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
	bool new_parent = s->v[CLONE_NEW_PARENT].number != 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail(x, errno, "socketpair");
	/* with CLONE_PARENT the kernel takes the exit signal of the caller's own birth */
	pid_t pid = clone_process(flags | (new_parent ? CLONE_PARENT : 0), new_parent ? 0 : SIGCHLD,
	                          reg(x, &s->v[CLONE_CGROUP]), &pidfd);
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
	int pidfd = -1;
	pid_t pid = clone_process(s->v[FORK_AGAIN_NAMESPACES].number | CLONE_PARENT, 0, -1, &pidfd);
	if (pid < 0)
		return fail(x, errno, "clone");
	if (pid == 0)
		return 0;
	/* seen from here the new process has its number on the host side: only its children see others */
	int r = peer_send(x, PEER_FD, (uint32_t)pid, pidfd);
	if (r == 0)
		_exit(0);
	sys_pidfd_send_signal(pidfd, SIGKILL);
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
	if (n == (ssize_t)sizeof peek && peek.kind == PEER_FD)
		number = peek.number;
	r = peer_receive(x, PEER_FD, number, &fd);
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

int op_open_namespace(struct executor *x, const struct step *s)
{
	const char *path = s->v[OPEN_NAMESPACE_PATH].text.at;
	struct statfs fs;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(x, errno, "%s", path);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC ||
	    ioctl(fd, NS_GET_NSTYPE) != (int)s->v[OPEN_NAMESPACE_KIND].number) {
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

int op_open_child_namespace(struct executor *x, const struct step *s)
{
	static const struct {
		uint64_t flag;
		const char *name;
	} kinds[] = {{CLONE_NEWUSER, "user"}, {CLONE_NEWNS, "mnt"}, {CLONE_NEWNET, "net"}, {CLONE_NEWPID, "pid"},
	             {CLONE_NEWIPC, "ipc"},   {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"}};
	char path[64];
	for (size_t i = 0; i < countof(kinds); i++) {
		if (kinds[i].flag != s->v[OPEN_CHILD_NAMESPACE_KIND].number)
			continue;
		snprintf(path, sizeof path, "/proc/%d/ns/%s", x->child, kinds[i].name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fail(x, errno, "%s", path);
		set_reg(x, &s->v[OPEN_CHILD_NAMESPACE_FD], fd);
		return 0;
	}
	return fail(x, EINVAL, "no such kind of namespace");
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
	char words[4096], pid[16], *argv[1024] = {(char *)(uintptr_t)helper, pid};
	size_t count = 2;
	int status;
	snprintf(pid, sizeof pid, "%d", x->child);
	if (strlen(map) >= sizeof words)
		return fail(x, E2BIG, "id map");
	strcpy(words, map);
	for (char *word = strtok(words, " \n"); word && count < countof(argv) - 1; word = strtok(NULL, " \n"))
		argv[count++] = word;
	argv[count] = NULL;
	pid_t child = fork();
	if (child == 0) {
		execv(helper, argv);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		return fail(x, EPERM, "%s refused the map", helper);
	return 0;
}

int op_write_id_map(struct executor *x, const struct step *s)
{
	const struct bytes *map = &s->v[WRITE_ID_MAP_MAP].text;
	const char *file = s->v[WRITE_ID_MAP_KIND].number ? "gid_map" : "uid_map";
	char path[64];
	int r = 0;
	if (s->v[WRITE_ID_MAP_SETGROUPS].number) {
		snprintf(path, sizeof path, "/proc/%d/setgroups", x->child);
		r = write_file_at(AT_FDCWD, path, "deny", 4);
		if (r < 0)
			return fail(x, -r, "setgroups");
	}
	if (s->v[WRITE_ID_MAP_HELPER].text.length)
		return run_map_helper(x, s->v[WRITE_ID_MAP_HELPER].text.at, map->at);
	snprintf(path, sizeof path, "/proc/%d/%s", x->child, file);
	r = write_file_at(AT_FDCWD, path, map->at, map->length);
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

int op_set_user(struct executor *x, const struct step *s)
{
	struct list groups = s->v[SET_USER_GROUPS].list;
	gid_t gid = (gid_t)s->v[SET_USER_GID].number, list[1024];
	uid_t uid = (uid_t)s->v[SET_USER_UID].number;
	size_t count = 0;
	if (groups.count > countof(list))
		return fail(x, E2BIG, "%u supplementary groups", groups.count);
	while (groups.count > 0)
		list[count++] = next_number(&groups);
	if (s->v[SET_USER_SET_GROUPS].number && setgroups(count, list) < 0)
		return fail(x, errno, "setgroups");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return fail(x, errno, "keep capabilities");
	if (setresgid(gid, gid, gid) < 0)
		return fail(x, errno, "setgid %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return fail(x, errno, "setuid %u", uid);
	prctl(PR_SET_DUMPABLE, 0);
	return 0;
}

int op_set_umask(struct executor *x, const struct step *s)
{
	(void)x;
	umask((mode_t)s->v[SET_UMASK_MASK].number);
	return 0;
}

/* --- capabilities, privileges, seccomp --- */

int op_drop_bounding(struct executor *x, const struct step *s)
{
	uint64_t keep = s->v[DROP_BOUNDING_KEEP].number;
	for (unsigned long cap = 0; cap < 64; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0) /* past the last one that this kernel knows */
			return 0;
		if (has && !(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return fail(x, errno, "drop capability %lu from the bounding set", cap);
	}
	return 0;
}

int op_set_capabilities(struct executor *x, const struct step *s)
{
	uint64_t effective = s->v[SET_CAPABILITIES_EFFECTIVE].number, permitted = s->v[SET_CAPABILITIES_PERMITTED].number;
	uint64_t inheritable = s->v[SET_CAPABILITIES_INHERITABLE].number, ambient = s->v[SET_CAPABILITIES_AMBIENT].number;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
	};
	if (syscall(SYS_capset, &header, data) < 0)
		return fail(x, errno, "capset");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long cap = 0; cap < 64; cap++)
		if ((ambient >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return fail(x, errno, "raise ambient capability %lu", cap);
	return 0;
}

int op_set_no_new_privileges(struct executor *x, const struct step *s)
{
	(void)s;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail(x, errno, "no_new_privs") : 0;
}

int op_load_seccomp(struct executor *x, const struct step *s)
{
	const struct bytes *filter = &s->v[LOAD_SECCOMP_FILTER].text;
	uint64_t flags = s->v[LOAD_SECCOMP_FLAGS].number;
	struct sock_fprog program = {(unsigned short)(filter->length / sizeof(struct sock_filter)),
	                             (struct sock_filter *)(uintptr_t)filter->at};
	if (filter->length % sizeof(struct sock_filter) || filter->length / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return fail(x, EINVAL, "filter of %u bytes", filter->length);
	bool listener = s->v[LOAD_SECCOMP_LISTENER].number != 0;
	if (listener)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r < 0)
		return fail(x, errno, "load a filter of %u instructions", program.len);
	if (!listener)
		return 0;
	int sent = peer_send(x, PEER_FD, 1, (int)r);
	close((int)r);
	return sent < 0 ? fail(x, -sent, "send seccomp listener") : 0;
}

/* --- attributes of the process --- */

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

int op_new_session(struct executor *x, const struct step *s)
{
	(void)s;
	return setsid() < 0 ? fail(x, errno, "setsid") : 0;
}

int op_new_keyring(struct executor *x, const struct step *s)
{
	enum { join_session_keyring = 1 };
	if (syscall(SYS_keyctl, join_session_keyring, s->v[NEW_KEYRING_NAME].text.at) < 0 && errno != ENOSYS)
		return fail(x, errno, "join session keyring");
	return 0;
}

int op_raise_link(struct executor *x, const struct step *s)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(request.ifr_name, s->v[RAISE_LINK_NAME].text.at, IFNAMSIZ - 1);
	int r = fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? -errno : 0;
	request.ifr_flags |= IFF_UP;
	if (r == 0 && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r < 0 ? fail(x, -r, "%s", request.ifr_name) : 0;
}

int op_set_rlimit(struct executor *x, const struct step *s)
{
	struct rlimit limit = {s->v[SET_RLIMIT_SOFT].number, s->v[SET_RLIMIT_HARD].number};
	unsigned resource = (unsigned)s->v[SET_RLIMIT_RESOURCE].number;
	if (prlimit(0, resource, &limit, NULL) < 0)
		return fail(x, errno, "limit %u to %llu:%llu", resource, (unsigned long long)limit.rlim_cur,
		            (unsigned long long)limit.rlim_max);
	return 0;
}

int op_set_priority(struct executor *x, const struct step *s)
{
	enum { ioprio_who_process = 1 };
	uint64_t value = s->v[SET_PRIORITY_VALUE].number;
	switch (s->v[SET_PRIORITY_KIND].number) {
	case 1: return syscall(SYS_ioprio_set, ioprio_who_process, 0, (int)value) < 0 ? fail(x, errno, "IO priority") : 0;
	case 2: return personality((unsigned long)value) < 0 ? fail(x, errno, "personality") : 0;
	default: return fail(x, EINVAL, "kind of priority");
	}
}

int op_set_scheduler(struct executor *x, const struct step *s)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = {
		.size = 48,
		.policy = (uint32_t)s->v[SET_SCHEDULER_POLICY].number,
		.flags = s->v[SET_SCHEDULER_FLAGS].number,
		.nice = (int32_t)s->v[SET_SCHEDULER_NICE].number,
		.priority = (uint32_t)s->v[SET_SCHEDULER_PRIORITY].number,
		.runtime = s->v[SET_SCHEDULER_RUNTIME].number,
		.deadline = s->v[SET_SCHEDULER_DEADLINE].number,
		.period = s->v[SET_SCHEDULER_PERIOD].number,
	};
	return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? fail(x, errno, "policy %u", attr.policy) : 0;
}

int op_set_affinity(struct executor *x, const struct step *s)
{
	const struct bytes *mask = &s->v[SET_AFFINITY_MASK].text;
	return syscall(SYS_sched_setaffinity, 0, mask->length, mask->at) < 0 ? fail(x, errno, "CPU affinity") : 0;
}

int op_set_death_signal(struct executor *x, const struct step *s)
{
	if (prctl(PR_SET_PDEATHSIG, s->v[SET_DEATH_SIGNAL_SIGNAL].number, 0, 0, 0) < 0)
		return fail(x, errno, "parent death signal");
	/* the parent may have died before the call: its end of the pair is closed then, or was reset */
	char byte;
	ssize_t n = recv(x->peer, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		raise(SIGKILL);
	return 0;
}
