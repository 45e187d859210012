/*
 * The seccomp filter and its listener. Once the filter stands it judges the child's own calls, so the child makes
 * none to hand the listener over: it tells its number beforehand, and the host side takes it out of the child.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "executor.h"
#include "local_socket.h"

enum { TAKEN_BY_HOST = 1, SENT_BY_CHILD = 2 };
/* For an agent that does not read, or whose backlog is full. */
enum { AGENT_SECONDS = 10 };

/* The number that the next descriptor of this process gets; the child is alone in its table. */
static int next_descriptor(void)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD, 0);
	if (fd < 0 && errno == EBADF)
		return STDIN_FILENO;
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : fd;
}

int op_load_seccomp(struct executor *x, const struct step *s)
{
	const struct bytes *filter = &s->v[LOAD_SECCOMP_FILTER].text;
	uint64_t flags = s->v[LOAD_SECCOMP_FLAGS].number, listener = s->v[LOAD_SECCOMP_LISTENER].number;
	struct sock_fprog program = {(unsigned short)(filter->length / sizeof(struct sock_filter)),
	                             (struct sock_filter *)(uintptr_t)filter->at};
	if (filter->length % sizeof(struct sock_filter) || filter->length / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return fail(x, EINVAL, "filter of %u bytes", filter->length);
	if (listener)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	if (listener == TAKEN_BY_HOST) {
		int number = next_descriptor();
		int r = number < 0 ? number : peer_send(x, PEER_NUMBER, (uint32_t)number, -1);
		if (r < 0)
			return fail(x, -r, "announce seccomp listener");
	}
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (r < 0)
		return fail(x, errno, "load a filter of %u instructions", program.len);
	/* it closes itself at exec: until then the host side may be about to take it */
	if (listener != SENT_BY_CHILD)
		return 0;
	int sent = peer_send(x, PEER_FD, 1, (int)r);
	close((int)r);
	return sent < 0 ? fail(x, -sent, "send seccomp listener") : 0;
}

static bool is_listener(int fd)
{
	char path[32], name[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, name, sizeof name - 1);
	name[n > 0 ? n : 0] = 0;
	return strcmp(name, "anon_inode:seccomp notify") == 0;
}

/* The descriptor `number` of the child as soon as it has it, which is a moment after it has told of it. */
static int take_from_child(struct executor *x, int number)
{
	struct pollfd peer = {.fd = x->peer, .events = POLLIN};
	for (bool last = false;;) {
		int fd = sys_pidfd_getfd(x->child_pidfd, number);
		if (fd >= 0 && is_listener(fd))
			return fd;
		int error = fd >= 0 ? EBADF : errno;
		if (fd >= 0)
			close(fd);
		if (error != EBADF)
			return -error;
		/* it goes on to speak only when the filter stands, or could not be loaded */
		if (last)
			break;
		last = poll(&peer, 1, 1) > 0;
	}
	int r = peer_receive(x, PEER_STEP, UINT32_MAX, NULL);
	return r == 0 ? -EPROTO : r;
}

int op_receive_listener(struct executor *x, const struct step *s)
{
	uint32_t number;
	int fd = -1, r;
	if (s->v[RECEIVE_LISTENER_TAKE].number) {
		r = peer_number(x, PEER_NUMBER, &number);
		if (r == 0)
			r = fd = take_from_child(x, (int)number);
	} else
		r = peer_receive(x, PEER_FD, 1, &fd);
	if (r < 0)
		return r == -ECANCELED ? r : fail(x, -r, "receive seccomp listener");
	set_reg(x, &s->v[RECEIVE_LISTENER_FD], fd);
	return 0;
}

static int connect_agent(const char *path)
{
	struct timeval limit = {.tv_sec = AGENT_SECONDS};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ? -errno : connect_path(fd, path);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

int op_send_listener(struct executor *x, const struct step *s)
{
	static char text[RECORD_LIMIT];
	const char *path = s->v[SEND_LISTENER_PATH].text.at;
	int listener = reg(x, &s->v[SEND_LISTENER_FD]);
	long bytes = fill_in_pid(x, s->v[SEND_LISTENER_STATE].text.at, text, sizeof text);
	if (bytes < 0)
		return fail(x, E2BIG, "state for %s", path);
	int agent = connect_agent(path);
	if (agent < 0)
		return fail(x, -agent, "failed to connect with seccomp agent specified in the seccomp profile: %s", path);
	ssize_t n = send_with(agent, text, (size_t)bytes, listener);
	int r = n < 0 ? (int)n : n < bytes ? write_all(agent, text + n, (size_t)(bytes - n)) : 0;
	close(agent);
	close(listener);
	set_reg(x, &s->v[SEND_LISTENER_FD], -1);
	return r < 0 ? fail(x, -r, "cannot send seccomp fd to %s", path) : 0;
}
