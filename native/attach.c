/*
 * The clients of a shim: its socket, who may connect, what they may ask, and what each is still owed.
 *
 * No client has a buffer of its own for output: each has a place in the ring of chunks. Nor for input:
 * stdin is taken from a client's socket only as far as the container takes it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "local_socket.h"
#include "shim.h"

#define ANSWER_BYTES 12u
#define EXIT_BYTES 20u

int listen_at(struct shim *shim, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	if (!slash || path[0] != '/' || slash[1] == 0 || strlen(slash + 1) >= sizeof shim->name - 1 ||
	    (size_t)(slash - path) >= sizeof dir)
		return -EINVAL;
	memcpy(dir, path, (size_t)(slash - path) + 1);
	dir[slash - path + 1] = 0;
	strcpy(shim->name, slash + 1);
	shim->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (shim->dir < 0)
		return -errno;
	shim->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (shim->listener < 0)
		return -errno;
	unlinkat(shim->dir, shim->name, 0); /* of an earlier run that was killed; our own directory */
	mode_t old = umask(0177);
	int r = bind_in(shim->listener, shim->dir, shim->name);
	umask(old);
	if (r < 0)
		return r;
	return listen(shim->listener, CLIENTS) < 0 ? -errno : 0;
}

void stop_listening(struct shim *shim)
{
	if (!shim->open || shim->dir < 0)
		return;
	unlinkat(shim->dir, shim->name, 0);
	close(shim->dir);
	shim->dir = -1;
}

/* Also one that has begun a chunk and asked for something else since: a frame is never cut short. */
static bool views(const struct client *c)
{
	return c->fd >= 0 && (c->sent > 0 || (c->bits & (ATTACH_STDOUT | ATTACH_STDERR)));
}

static struct chunk *chunk_at(struct shim *shim, uint64_t number)
{
	return &shim->chunks[(number - shim->base) % CHUNKS];
}

uint64_t oldest_needed(const struct shim *shim)
{
	uint64_t oldest = shim->head;
	for (unsigned i = 0; i < shim->seats; i++)
		if (views(&shim->clients[i]) && shim->clients[i].next < oldest)
			oldest = shim->clients[i].next;
	return oldest;
}

struct chunk *free_chunk(struct shim *shim)
{
	uint64_t held = shim->head - oldest_needed(shim);
	if (held >= (shim->exited ? CHUNKS : CHUNKS - CHUNK_RESERVE))
		return NULL;
	/* nobody waits for anything: begin at the first again, so that quiet containers touch only that one */
	if (held == 0)
		shim->base = shim->head;
	return chunk_at(shim, shim->head);
}

void publish_chunk(struct shim *shim, uint8_t type, uint32_t bytes)
{
	struct chunk *chunk = chunk_at(shim, shim->head);
	if (oldest_needed(shim) == shim->head) {
		bool wanted = false;
		for (unsigned i = 0; i < shim->seats; i++)
			wanted |= views(&shim->clients[i]);
		if (!wanted)
			return;
	}
	memset(chunk->frame, 0, 8);
	memcpy(chunk->frame, &bytes, 4);
	chunk->frame[4] = type;
	chunk->bytes = 8 + bytes;
	shim->head++;
	for (unsigned i = 0; i < shim->seats; i++)
		if (views(&shim->clients[i]))
			write_client(shim, &shim->clients[i]);
}

void adopt_client(struct shim *shim, unsigned slot, int fd)
{
	struct client *c = &shim->clients[slot];
	if (slot >= shim->seats)
		shim->seats = slot + 1;
	memset(c, 0, sizeof *c);
	c->fd = fd;
	c->next = shim->head;
}

void close_stdin(struct shim *shim)
{
	if (shim->in < 0 || shim->terminal)
		return;
	close(shim->in);
	shim->in = -1;
	/* what others still hold for it is for nobody now, and no longer stops their other requests */
	for (unsigned i = 0; i < shim->seats; i++)
		shim->clients[i].stuck = false;
}

void end_owned(struct shim *shim, struct client *c)
{
	if (c->bits & ATTACH_OWNS_PROCESS)
		signal_container(shim, SIGKILL, false);
	c->bits &= ~ATTACH_OWNS_PROCESS;
}

void close_client(struct shim *shim, struct client *c)
{
	if (c->fd < 0)
		return;
	end_owned(shim, c);
	hold_container(shim, c, false);
	close(c->fd);
	c->fd = -1;
	if (c->bits & ATTACH_OWNS_STDIN)
		close_stdin(shim);
	c->bits = c->sent = 0;
}

static bool may_connect(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static struct client *free_seat(struct shim *shim)
{
	for (unsigned i = 1; i < CLIENTS; i++)
		if (i >= shim->seats || shim->clients[i].fd < 0)
			return &shim->clients[i];
	return NULL;
}

void accept_clients(struct shim *shim)
{
	static const uint32_t refusal[3] = {4, REPLY_ANSWER, EPERM};
	struct client *c;
	while ((c = free_seat(shim))) {
		int fd = accept4(shim->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (may_connect(fd)) {
			adopt_client(shim, (unsigned)(c - shim->clients), fd);
			continue;
		}
		send(fd, refusal, sizeof refusal, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
	}
}

void answer(struct shim *shim, struct client *c, uint8_t type, const void *payload, uint32_t bytes)
{
	uint8_t *at = c->out + c->out_bytes;
	if (c->fd < 0 || c->out_bytes + 8 + bytes > sizeof c->out)
		return;
	memset(at, 0, 8);
	memcpy(at, &bytes, 4);
	at[4] = type;
	memcpy(at + 8, payload, bytes);
	c->out_bytes += 8 + bytes;
	write_client(shim, c);
}

static const struct chunk *next_chunk(struct shim *shim, struct client *c)
{
	for (; views(c) && c->next < shim->head; c->next++) {
		const struct chunk *chunk = chunk_at(shim, c->next);
		if (c->sent > 0 || (c->bits & (chunk->frame[4] == REPLY_STDOUT ? ATTACH_STDOUT : ATTACH_STDERR)))
			return chunk;
	}
	return NULL;
}

bool client_has_output(const struct shim *shim, const struct client *c)
{
	return c->fd >= 0 && !c->gone && (c->out_bytes > 0 || (views(c) && c->next < shim->head));
}

/* Sends as much as the socket takes: answers between frames, then chunks in order. */
void write_client(struct shim *shim, struct client *c)
{
	while (c->fd >= 0) {
		const struct chunk *chunk = NULL;
		const uint8_t *at;
		size_t bytes;
		if (c->out_bytes > 0 && c->sent == 0) {
			at = c->out + c->out_sent;
			bytes = c->out_bytes - c->out_sent;
		} else if ((chunk = next_chunk(shim, c))) {
			at = chunk->frame + c->sent;
			bytes = chunk->bytes - c->sent;
		} else {
			return;
		}
		ssize_t n = send(c->fd, at, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			/* a client that went: what it sent before is still read, then it is closed */
			if (errno != EAGAIN)
				c->bits &= ~(ATTACH_STDOUT | ATTACH_STDERR), c->out_bytes = c->out_sent = c->sent = 0;
			return;
		}
		if (chunk) {
			c->sent += (uint32_t)n;
			if (c->sent == chunk->bytes)
				c->sent = 0, c->next++;
		} else if ((c->out_sent += (uint32_t)n) == c->out_bytes) {
			c->out_bytes = c->out_sent = 0;
		}
	}
}

static int resize(struct shim *shim, const uint8_t *payload)
{
	uint16_t size[2];
	memcpy(size, payload, sizeof size);
	struct winsize window = {.ws_row = size[0], .ws_col = size[1]};
	if (!shim->terminal)
		return ENOTTY;
	return ioctl(shim->out[0], TIOCSWINSZ, &window) < 0 ? errno : 0;
}

static uint32_t attach(struct shim *shim, struct client *c, uint32_t bits)
{
	unsigned attached = 0;
	for (unsigned i = 0; i < shim->seats; i++)
		attached += shim->clients[i].fd >= 0 && shim->clients[i].bits && &shim->clients[i] != c;
	if (attached >= ATTACHED_LIMIT)
		return EBUSY;
	if (!views(c))
		c->next = shim->head;
	c->bits = bits;
	return 0;
}

static uint32_t await(struct shim *shim, struct client *c)
{
	unsigned waiting = 0;
	for (unsigned i = 0; i < shim->seats; i++)
		waiting += shim->clients[i].fd >= 0 && shim->clients[i].waits && &shim->clients[i] != c;
	if (waiting >= WAITING_LIMIT)
		return EBUSY;
	c->waits = true;
	return 0;
}

/* One whole request other than stdin; false if it is none that may come here. */
static bool take_request(struct shim *shim, struct client *c, uint8_t type, const uint8_t *payload, uint32_t bytes)
{
	uint32_t words[2] = {0}, result = 0;
	memcpy(words, payload, bytes < sizeof words ? bytes : sizeof words);
	if (type == REQUEST_STDIN_END && bytes == 0) {
		if (c->bits & ATTACH_STDIN)
			close_stdin(shim);
		return true;
	}
	if (type == REQUEST_SIGNAL && bytes == 8) {
		result = (uint32_t)-signal_container(shim, words[0], words[1] & 1);
	} else if (type == REQUEST_RESIZE && bytes == 4) {
		result = (uint32_t)resize(shim, payload);
	} else if (type == REQUEST_ATTACH && bytes == 4) {
		result = attach(shim, c, words[0] & ATTACH_BITS);
	} else if (type == REQUEST_WAIT && bytes == 0) {
		result = await(shim, c);
	} else if (type == REQUEST_DISOWN && bytes == 0) {
		for (unsigned i = 0; i < shim->seats; i++)
			shim->clients[i].bits &= ~(ATTACH_OWNS_PROCESS | ATTACH_OWNS_STDIN);
		shim->x->disowned = true;
	} else if (type == REQUEST_HOLD && bytes == 4) {
		result = hold_container(shim, c, words[0]);
	} else if (type == REQUEST_ABORT && c == &shim->clients[0]) {
		/* came too late to undo the start: end what was started */
		signal_container(shim, 9, true);
		return true;
	} else {
		return false;
	}
	answer(shim, c, REPLY_ANSWER, &result, sizeof result);
	return true;
}

/* Hands stdin on, as far as the container takes it; false when there is nothing to do now. */
static bool pass_stdin(struct shim *shim, struct client *c)
{
	char buffer[8192];
	size_t most = c->payload < sizeof buffer ? c->payload : sizeof buffer;
	ssize_t n = recv(c->fd, buffer, most, MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			close_client(shim, c);
		return false;
	}
	if (shim->in >= 0) {
		ssize_t taken = write(shim->in, buffer, (size_t)n);
		if (taken == 0 || (taken < 0 && (errno == EAGAIN || errno == EINTR))) {
			c->stuck = true;
			return false;
		}
		if (taken < 0)
			close_stdin(shim); /* the container reads no more: the rest is for nobody */
		else
			n = taken;
	}
	n = recv(c->fd, buffer, (size_t)n, MSG_DONTWAIT);
	c->payload -= n > 0 ? (uint32_t)n : 0;
	return true;
}

static void end_of_input(struct shim *shim, struct client *c)
{
	c->input_over = true;
	if (c->bits & ATTACH_OWNS_STDIN)
		close_stdin(shim);
	if (!views(c) && !c->waits && c != &shim->clients[0] && c->out_bytes == 0)
		close_client(shim, c);
}

/* Room for an answer and, at the end, the exit: a client that does not read is not listened to. */
static bool may_ask(const struct client *c)
{
	return c->out_bytes + ANSWER_BYTES + EXIT_BYTES <= sizeof c->out;
}

void read_client(struct shim *shim, struct client *c)
{
	while (c->fd >= 0 && !c->input_over && may_ask(c)) {
		uint32_t length = 0, want = 8 - c->got;
		if (c->payload > 0) {
			if (!pass_stdin(shim, c))
				return;
			continue;
		}
		memcpy(&length, c->in, 4);
		if (c->got >= 8)
			want = 8 + length - c->got;
		ssize_t n = want ? recv(c->fd, c->in + c->got, want, MSG_DONTWAIT) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			return close_client(shim, c);
		if (n == 0 && want)
			return c->got ? close_client(shim, c) : end_of_input(shim, c);
		c->got += (uint32_t)n;
		if (c->got < 8)
			continue;
		memcpy(&length, c->in, 4);
		if (c->in[4] == REQUEST_STDIN && (c->bits & ATTACH_STDIN) && length <= FRAME_LIMIT) {
			c->payload = length;
			c->got = 0;
			continue;
		}
		if (length > sizeof c->in - 8)
			return close_client(shim, c);
		if (c->got < 8 + length)
			continue;
		c->got = 0;
		if (!take_request(shim, c, c->in[4], c->in + 8, length))
			return close_client(shim, c);
	}
}
