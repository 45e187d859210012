/*
 * Two dialogues: frames with the controller over a stream socket (src/plan/protocol.ts draws them),
 * and fixed messages between the host side and the child over a SEQPACKET pair.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"
#include "local_socket.h"

int write_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;
	while (bytes > 0) {
		ssize_t n = write(fd, at, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int read_all(int fd, void *data, size_t bytes)
{
	char *at = data;
	while (bytes > 0) {
		ssize_t n = read(fd, at, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int send_frame(int fd, uint8_t type, const void *payload, uint32_t bytes)
{
	uint8_t frame[8 + FAILURE_LIMIT] = {0};
	memcpy(frame, &bytes, 4);
	frame[4] = type;
	if (bytes > sizeof frame - 8)
		return -EMSGSIZE;
	if (bytes)
		memcpy(frame + 8, payload, bytes);
	return write_all(fd, frame, 8 + bytes);
}

int read_frame_header(int fd, uint32_t *bytes)
{
	uint8_t header[8];
	int r = read_all(fd, header, sizeof header);
	if (r < 0)
		return r;
	memcpy(bytes, header, 4);
	return *bytes > FRAME_LIMIT ? -EMSGSIZE : header[4];
}

uint32_t failure_payload(const struct failure *failure, uint8_t out[FAILURE_LIMIT])
{
	uint32_t length = (uint32_t)strnlen(failure->detail, DETAIL_LIMIT);
	memcpy(out, failure, 16);
	memcpy(out + 16, &length, 4);
	memcpy(out + 20, failure->detail, length);
	return 20 + length;
}

void report_failure(struct executor *x)
{
	uint8_t payload[FAILURE_LIMIT];
	send_frame(x->controller, REPLY_FAILED, payload, failure_payload(&x->failure, payload));
}

int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void exit_payload(const struct executor *x, uint32_t out[3])
{
	int status = x->wait_status;
	out[1] = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
	out[0] = (uint32_t)exit_code(status);
	out[2] = x->oom_killed;
}

int peer_send(struct executor *x, uint32_t kind, uint32_t number, int fd)
{
	const uint32_t message[2] = {kind, number};
	/* a filter that is loaded by now is likelier to let write pass */
	if (fd < 0)
		return write_all(x->peer, message, sizeof message);
	ssize_t n = send_with(x->peer, message, sizeof message, fd);
	return n < 0 ? (int)n : 0;
}

struct peer_message {
	uint32_t kind, number;
	struct failure failure;
};

/* Reads one message, and the descriptor that came with it where `fd` is asked for. Its length, or -errno. */
static ssize_t read_message(struct executor *x, struct peer_message *message, int *fd)
{
	ssize_t n;
	/* ECONNRESET says once that the other side ended with messages unread; what it had sent comes after that */
	do {
		n = fd ? receive_with(x->peer, message, sizeof *message, 0, fd) : read(x->peer, message, sizeof *message);
		if (!fd && n < 0)
			n = -errno;
	} while (n == -EINTR || n == -ECONNRESET);
	return n;
}

int peer_receive(struct executor *x, uint32_t kind, uint32_t number, int *fd)
{
	struct peer_message message;
	int received = -1;
	ssize_t n = read_message(x, &message, fd ? &received : NULL);
	if (n <= 0)
		return n < 0 ? (int)n : -EPIPE;
	if (n == (ssize_t)sizeof message && message.kind == PEER_FAILED) {
		x->failure = message.failure;
		x->failure.detail[DETAIL_LIMIT - 1] = 0;
		return -ECANCELED;
	}
	if (n < 8 || message.kind != kind || message.number != number || (fd && received < 0)) {
		if (received >= 0)
			close(received);
		return -EPROTO;
	}
	if (fd)
		*fd = received;
	return 0;
}

int peer_number(struct executor *x, uint32_t kind, uint32_t *number)
{
	uint32_t peek[2] = {0, 0};
	ssize_t n;
	while ((n = recv(x->peer, peek, sizeof peek, MSG_PEEK)) < 0)
		if (errno != EINTR && errno != ECONNRESET)
			return -errno;
	*number = peek[1];
	return peer_receive(x, kind, peek[1], NULL);
}
