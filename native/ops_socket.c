/*
 * Sockets of who started a container: those that receive the master of its terminal or a descriptor of
 * its process, and the one at which a service manager waits for it to be ready (sd_notify(3)).
 */
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "executor.h"
#include "local_socket.h"

/* How long a service manager may take to answer the barrier; one that does not know it never does. */
#define BARRIER_MS 30000

int op_connect_socket(struct executor *x, const struct step *s)
{
	const char *path = s->v[CONNECT_SOCKET_PATH].text.at;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : connect_path(fd, path);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return fail(x, -r, "connect");
	}
	set_reg(x, &s->v[CONNECT_SOCKET_FD], fd);
	return 0;
}

int op_send_descriptor(struct executor *x, const struct step *s)
{
	const struct bytes *payload = &s->v[SEND_DESCRIPTOR_PAYLOAD].text;
	int socket = reg(x, &s->v[SEND_DESCRIPTOR_SOCKET]), fd = reg(x, &s->v[SEND_DESCRIPTOR_DESCRIPTOR]);
	ssize_t n = send_with(socket, payload->at, payload->length, fd >= 0 ? fd : x->child_pidfd);
	close(socket);
	set_reg(x, &s->v[SEND_DESCRIPTOR_SOCKET], -1);
	return n < 0 ? fail(x, (int)-n, "send %s", payload->at) : 0;
}

/* --- readiness --- */

static int bind_notify(int dir, const char *name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the directory is the host's alone to write, so the name stays what is bound here */
	unlinkat(dir, name, 0);
	int r = fd < 0 ? -errno : bind_in(fd, dir, name);
	if (r == 0 && fchmodat(dir, name, 0777, 0) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int connect_manager(int fd, const char *manager)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(manager);
	if (*manager != '@')
		return connect_path(fd, manager);
	if (length > sizeof address.sun_path)
		return -ENAMETOOLONG;
	/* the abstract name space: a zero byte for the @ */
	memcpy(address.sun_path + 1, manager + 1, length - 1);
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return connect(fd, (struct sockaddr *)&address, bytes) < 0 ? -errno : 0;
}

int op_open_notify(struct executor *x, const struct step *s)
{
	const char *path = s->v[OPEN_NOTIFY_DIR].text.at, *name = s->v[OPEN_NOTIFY_NAME].text.at;
	const char *manager = s->v[OPEN_NOTIFY_MANAGER].text.at;
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return fail(x, errno, "%s", path);
	int fd = bind_notify(dir, name);
	close(dir);
	if (fd < 0)
		return fail(x, -fd, "bind %s/%s", path, name);
	int peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = peer < 0 ? -errno : connect_manager(peer, manager);
	/* the environment may name one that is long gone: then nobody waits for the word */
	if (r < 0 && r != -ENOENT && r != -ECONNREFUSED) {
		close(fd);
		if (peer >= 0)
			close(peer);
		return fail(x, -r, "connect %s", manager);
	}
	set_reg(x, &s->v[OPEN_NOTIFY_FD], fd);
	set_reg(x, &s->v[OPEN_NOTIFY_PEER], peer);
	return 0;
}

bool read_ready(int socket)
{
	char text[4096];
	ssize_t n = recv(socket, text, sizeof text - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = 0;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

int tell_ready(int manager, pid_t main_pid)
{
	char text[40];
	int ends[2], length = snprintf(text, sizeof text, "MAINPID=%d\n", main_pid);
	/* nothing of what the container wrote goes on: these are words of ours */
	if (send(manager, "READY=1\n", 8, MSG_NOSIGNAL) < 0 || send(manager, text, (size_t)length, MSG_NOSIGNAL) < 0 ||
	    pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	ssize_t n = send_with(manager, "BARRIER=1", 9, ends[1]);
	close(ends[1]);
	if (n >= 0)
		return ends[0];
	close(ends[0]);
	return -1;
}

/* True once the container is ready, false if its process ended before. */
static bool await_ready(int socket, int process)
{
	struct pollfd either[] = {{.fd = socket, .events = POLLIN}, {.fd = process, .events = POLLIN}};
	while (poll(either, countof(either), -1) >= 0 || errno == EINTR) {
		if (either[0].revents && read_ready(socket))
			return true;
		if (!either[0].revents && either[1].revents)
			return false;
	}
	return false;
}

int op_relay_notify(struct executor *x, const struct step *s)
{
	int socket = reg(x, &s->v[RELAY_NOTIFY_SOCKET]), manager = reg(x, &s->v[RELAY_NOTIFY_MANAGER]);
	pid_t given = (pid_t)s->v[RELAY_NOTIFY_PID].number, pid = given ? given : x->child;
	/* one that is over already has nothing to tell */
	int process = pid > 0 ? sys_pidfd_open(pid, 0) : -1;
	if (process >= 0 && await_ready(socket, process)) {
		struct pollfd barrier = {.fd = tell_ready(manager, pid), .events = POLLIN};
		if (barrier.fd >= 0) {
			poll(&barrier, 1, BARRIER_MS);
			close(barrier.fd);
		}
	}
	if (process >= 0)
		close(process);
	close(socket);
	close(manager);
	set_reg(x, &s->v[RELAY_NOTIFY_SOCKET], -1);
	set_reg(x, &s->v[RELAY_NOTIFY_MANAGER], -1);
	return 0;
}
