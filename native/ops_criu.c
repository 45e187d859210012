/*
 * criu, the program that writes processes to files and makes them again. It is the child's program, `criu swrk 3`:
 * one request, one answer, and between them notifications that wait for a yes, each a packet on a socket. What is
 * asked is bytes that the plan brings; what is read here is as much of the answers as the walk needs (rpc.proto).
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"
#include "local_socket.h"

/* Descriptors of criu, as its request names them. */
enum { CRIU_SOCKET = 3, CRIU_PLACES = 5 };
/* Number by which the child sends its end of the socket. */
enum { PEER_CRIU = 2 };

int op_open_place(struct executor *x, const struct step *s)
{
	const char *path = s->v[OPEN_PLACE_PATH].text.at;
	int root = reg(x, &s->v[OPEN_PLACE_ROOT]);
	int fd = root < 0 ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)
	                  : place_in_root(root, path, s->v[OPEN_PLACE_DIRECTORY].number != 0, 0);
	if (fd < 0)
		return fail(x, root < 0 ? errno : -fd, "%s", path);
	set_reg(x, &s->v[OPEN_PLACE_FD], fd);
	return 0;
}

/* Out of the way of the descriptors that get fixed numbers. */
static int lift(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 64);
}

int op_serve_criu(struct executor *x, const struct step *s)
{
	const char *paths[] = {s->v[SERVE_CRIU_IMAGES].text.at, s->v[SERVE_CRIU_WORK].text.at};
	int namespaces[] = {reg(x, &s->v[SERVE_CRIU_NETWORK]), reg(x, &s->v[SERVE_CRIU_PIDS])};
	int pair[2], place[CRIU_PLACES], count = 0;
	/* made here and not before the clone: criu looks for its directories in the process that made the socket */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail(x, errno, "socketpair");
	int r = peer_send(x, PEER_FD, PEER_CRIU, pair[1]);
	if (r < 0)
		return fail(x, -r, "hand over the socket");
	place[count++] = lift(pair[0]);
	for (size_t i = 0; i < countof(paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return fail(x, errno, "%s", paths[i]);
		place[count++] = lift(fd);
		close(fd);
	}
	for (size_t i = 0; i < countof(namespaces); i++)
		if (namespaces[i] >= 0)
			place[count++] = lift(namespaces[i]);
	int peer = lift(x->peer);
	close(pair[0]);
	close(pair[1]);
	close(x->peer);
	x->peer = peer;
	for (int i = 0; i < count; i++)
		if (place[i] < 0 || dup2(place[i], CRIU_SOCKET + i) < 0)
			return fail(x, errno, "descriptor %d", CRIU_SOCKET + i);
	return 0;
}

/* --- what criu says --- */

enum { CRIU_NOTIFY = 6, WIRE_VARINT = 0, WIRE_BYTES = 2 };

struct field {
	uint32_t number, wire;
	uint64_t value; /* of a varint; the length of bytes */
	const uint8_t *bytes;
};

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; *at < end && shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;
		*value |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return true;
	}
	return false;
}

/* The next field of a message; false at its end, or where it is none. Only the two kinds of rpc.proto. */
static bool read_field(const uint8_t **at, const uint8_t *end, struct field *f)
{
	uint64_t key;
	if (*at >= end || !read_varint(at, end, &key) || !read_varint(at, end, &f->value))
		return false;
	f->number = (uint32_t)(key >> 3);
	f->wire = key & 7;
	f->bytes = *at;
	if (f->wire == WIRE_VARINT)
		return true;
	if (f->wire != WIRE_BYTES || f->value > (uint64_t)(end - *at))
		return false;
	*at += f->value;
	return true;
}

struct answer {
	uint64_t type, success, error;
	char script[64];
	pid_t pid;
};

static void read_notification(const struct field *message, struct answer *a)
{
	const uint8_t *at = message->bytes, *end = at + message->value;
	struct field f;
	while (read_field(&at, end, &f))
		if (f.number == 1 && f.wire == WIRE_BYTES && f.value < sizeof a->script)
			memcpy(a->script, f.bytes, f.value);
		else if (f.number == 2 && f.wire == WIRE_VARINT)
			a->pid = (pid_t)f.value;
}

/* The next packet; -EPIPE when criu has ended. */
static int receive_answer(struct executor *x, struct answer *a)
{
	uint8_t packet[16 * 1024];
	struct field f;
	int passed;
	ssize_t n = receive_with(x->criu.socket, packet, sizeof packet, 0, &passed);
	if (n <= 0)
		return n == 0 || n == -ECONNRESET ? -EPIPE : (int)n;
	if (passed >= 0) {
		if (x->criu.passed >= 0)
			close(x->criu.passed);
		x->criu.passed = passed;
	}
	memset(a, 0, sizeof *a);
	const uint8_t *at = packet;
	while (read_field(&at, packet + n, &f)) {
		if (f.wire == WIRE_BYTES) {
			if (f.number == 5)
				read_notification(&f, a);
			continue;
		}
		switch (f.number) {
		case 1: a->type = f.value; break;
		case 2: a->success = f.value; break;
		case 7: a->error = f.value; break;
		}
	}
	return 0;
}

static int say(struct executor *x, const void *packet, size_t bytes)
{
	while (send(x->criu.socket, packet, bytes, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return fail(x, errno, "ask criu");
	return 0;
}

static int say_yes(struct executor *x)
{
	/* criu_req: type = NOTIFY, notify_success = true */
	static const uint8_t yes[] = {1 << 3, CRIU_NOTIFY, 3 << 3, 1};
	return say(x, yes, sizeof yes);
}

/* criu ends by itself after its answer. */
static int reap_criu(struct executor *x)
{
	int status;
	pid_t pid = x->criu.pid > 0 ? x->criu.pid : x->child;
	close(x->criu.socket);
	x->criu.socket = -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(x, errno, "await the end of criu");
	if (pid == x->child) {
		x->child_reaped = true;
		x->wait_status = 0;
	} else
		close(x->criu.pidfd);
	x->criu.pid = 0;
	return 0;
}

int op_await_criu(struct executor *x, const struct step *s)
{
	const struct bytes *request = &s->v[AWAIT_CRIU_REQUEST].text;
	const char *point = s->v[AWAIT_CRIU_POINT].text.at;
	struct answer a;
	int r = 0;
	if (x->criu.socket < 0)
		r = peer_receive(x, PEER_FD, PEER_CRIU, &x->criu.socket);
	if (r < 0)
		return r == -ECANCELED ? r : fail(x, -r, "receive criu's socket");
	r = request->length ? say(x, request->at, request->length) : say_yes(x);
	while (r == 0 && (r = receive_answer(x, &a)) == 0 && a.success && a.type == CRIU_NOTIFY) {
		x->criu.restored = a.pid;
		if (*point && strcmp(a.script, point) == 0)
			return 0;
		r = say_yes(x);
	}
	if (r == -EPIPE) {
		/* perhaps there never was a criu, and the child tells why */
		r = peer_receive(x, PEER_STEP, UINT32_MAX, NULL);
		return r == -ECANCELED ? r : (fail(x, 0, "it ended without an answer"), -EPIPE);
	}
	if (r < 0)
		return r;
	if (!a.success)
		return fail(x, 0, "errno %u", (unsigned)a.error), -EIO;
	if (*point)
		return fail(x, 0, "criu did not come to %s", point), -EPROTO;
	return reap_criu(x);
}

int op_take_restored(struct executor *x, const struct step *s)
{
	(void)s;
	pid_t pid = x->criu.restored;
	int pidfd = pid > 0 ? sys_pidfd_open(pid, 0) : -1;
	if (pidfd < 0)
		return fail(x, pid > 0 ? errno : ESRCH, "process %d", pid);
	x->criu.pid = x->child;
	x->criu.pidfd = x->child_pidfd;
	x->child = pid;
	x->child_pidfd = pidfd;
	return 0;
}

int op_receive_console(struct executor *x, const struct step *s)
{
	if (x->criu.passed < 0)
		return fail(x, EBADF, "criu passed no descriptor");
	set_reg(x, &s->v[RECEIVE_CONSOLE_FD], x->criu.passed);
	x->criu.passed = -1;
	return 0;
}

void end_criu(struct executor *x)
{
	if (x->criu.socket < 0)
		return;
	/* told nothing more, it takes apart what it was making; only it knows of all the processes */
	close(x->criu.socket);
	x->criu.socket = -1;
	struct pollfd end = {.fd = x->criu.pid > 0 ? x->criu.pidfd : x->child_pidfd, .events = POLLIN};
	if (poll(&end, 1, 10000) == 0)
		sys_pidfd_send_signal(end.fd, SIGKILL);
	if (x->criu.pid <= 0)
		return;
	waitpid(x->criu.pid, NULL, 0);
	close(x->criu.pidfd);
	x->criu.pid = 0;
}
