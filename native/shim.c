/*
 * What stays while a container runs. One loop over its output, its stdin, its end, and the clients of
 * its socket; all memory is static, so nothing grows with output, clients or time.
 *
 * - The log gets all output. A client that is attached gets it too, or holds it up; one that has gone
 *   holds nothing up.
 * - All signals are blocked: only SIGKILL ends a shim before its container. SIGTERM is handed on as
 *   the container's stop signal, so that a host that shuts down stops containers in order.
 * - After the container's end its pipes are read to the end of file, or for two seconds where
 *   somebody outside of it (a host pid namespace) holds them open.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"
#include "shim.h"

#define DRAIN_MS 2000
/* How long a client that takes nothing may keep a shim whose container is over: a pager at rest. */
#define FAREWELL_MS 600000
/* How long a client that has everything may take to close. */
#define PARTING_MS 2000
/* A terminal without any open slave is looked at again after this time. */
#define HANGUP_MS 100
/*
 * A program that pours out in small writes is rested from for a moment, so that what it writes meanwhile is read at
 * once: each waking of shim and client costs more than the bytes. Not one that answers: its next word may be waited for.
 */
#define POUR_BYTES 4096
#define POUR_READS 16
#define POUR_US 1000
#define REST_US 200

struct shim the_shim;
struct oom_watch the_oom_watch = {.fd = -1, .counter = -1};

int signal_container(struct shim *shim, uint32_t number, bool all)
{
	if (number > 64)
		return -EINVAL;
	/* all but the first process by the cgroup, since /proc tells no cgroup of a zombie */
	if (all && shim->cgroup >= 0)
		signal_cgroup(shim->cgroup, (int)number, shim->x->child);
	if (shim->exited)
		return all ? 0 : -ESRCH;
	return sys_pidfd_send_signal(shim->x->child_pidfd, (int)number) < 0 ? -errno : 0;
}

static int set_frozen(const struct shim *shim, bool frozen)
{
	return shim->freezer ? write_freezer(shim->cgroup, shim->freezer == 1, frozen) : -ENOENT;
}

static bool is_held(const struct shim *shim)
{
	bool held = false;
	for (unsigned i = 0; i < shim->seats; i++)
		held |= shim->clients[i].fd >= 0 && shim->clients[i].holds;
	return held;
}

/* Waits for nothing: a freezer may take its time, and the client looks at its state. */
uint32_t hold_container(struct shim *shim, struct client *c, bool hold)
{
	if (!hold) {
		bool held = c->holds;
		c->holds = false;
		return held && !shim->was_frozen && !is_held(shim) ? (uint32_t)-set_frozen(shim, false) : 0;
	}
	if (shim->exited)
		return ESRCH;
	if (!is_held(shim))
		shim->was_frozen = shim->freezer && is_frozen(shim->cgroup, freezer_file(shim->freezer == 1));
	int r = set_frozen(shim, true);
	c->holds |= r == 0;
	return (uint32_t)-r;
}

/* True once the log has all that was read. */
static bool log_rest(struct shim *shim)
{
	if (shim->log.forward)
		forward_more(shim->log.forward);
	size_t taken = log_write(&shim->log, shim->unlogged.stream, shim->unlogged.at, shim->unlogged.bytes);
	shim->unlogged.at += taken;
	shim->unlogged.bytes -= taken;
	return shim->unlogged.bytes == 0 && !(shim->log.forward && forward_waits(shim->log.forward));
}

static void close_output(struct shim *shim, unsigned i)
{
	log_end(&shim->log, i);
	close(shim->out[i]);
	shim->out[i] = -1;
}

static void note_pour(struct shim *shim, ssize_t n)
{
	int64_t now = now_us();
	bool pours = n >= POUR_BYTES && now - shim->pour.last_us < POUR_US;
	shim->pour.reads = pours ? shim->pour.reads + 1 : 0;
	shim->pour.last_us = now;
	shim->pour.more = n >= CHUNK_BYTES / 2;
}

/* A terminal holds little: what rests is the program. */
static void rest_from_pour(const struct shim *shim)
{
	if (shim->pour.reads >= POUR_READS && !shim->pour.more && !shim->terminal && !shim->exited)
		pause_us(REST_US);
}

/* Reads one chunk; false when nothing was there. */
static bool read_output(struct shim *shim, unsigned i)
{
	struct chunk *chunk = shim->out[i] < 0 || !log_rest(shim) ? NULL : free_chunk(shim);
	if (!chunk)
		return false;
	ssize_t n = read(shim->out[i], chunk->frame + 8, CHUNK_BYTES);
	if (n > 0) {
		note_pour(shim, n);
		shim->unlogged.stream = i;
		shim->unlogged.at = (const char *)chunk->frame + 8;
		shim->unlogged.bytes = (size_t)n;
		log_rest(shim);
		publish_chunk(shim, i == 0 ? REPLY_STDOUT : REPLY_STDERR, (uint32_t)n);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* a terminal hangs up whenever nobody in the container has it open; it may be opened again */
	if (!shim->terminal || shim->exited)
		close_output(shim, i);
	return false;
}

static void reap(struct shim *shim)
{
	int status = 0;
	if (waitpid(shim->x->child, &status, WNOHANG) != shim->x->child)
		return;
	shim->x->wait_status = status;
	shim->x->child_reaped = true;
	shim->exited = true;
}

/* What a client's descriptor is good for now; -1 where poll would only report the same again. */
static struct pollfd interest(const struct shim *shim, const struct client *c)
{
	struct pollfd p = {.fd = c->stuck && c->gone ? -1 : c->fd};
	if (!c->input_over && !c->stuck)
		p.events |= POLLIN;
	if (client_has_output(shim, c))
		p.events |= POLLOUT;
	return p;
}

static void serve_client(struct shim *shim, struct client *c, short events)
{
	bool over = events & (POLLHUP | POLLERR | POLLNVAL);
	if (over) {
		/* owed nothing any more; what it asked before it went is still done */
		end_owned(shim, c);
		c->bits &= ~(ATTACH_STDOUT | ATTACH_STDERR);
		c->sent = 0;
		while (c->fd >= 0 && !c->input_over && !c->stuck) {
			c->out_bytes = c->out_sent = c->sent = 0;
			uint32_t before = c->payload;
			read_client(shim, c);
			if (c->out_bytes == 0 && c->payload == before)
				break;
		}
		c->gone = c->stuck;
		if (!c->stuck)
			close_client(shim, c);
		return;
	}
	if (events & POLLOUT)
		write_client(shim, c);
	if ((events & POLLIN) && c->fd >= 0)
		read_client(shim, c);
	if (c->input_over && !c->waits && !c->bits && c != &shim->clients[0] && c->out_bytes == 0)
		close_client(shim, c);
}

static void resume_stdin(struct shim *shim)
{
	for (unsigned i = 0; i < shim->seats; i++) {
		struct client *c = &shim->clients[i];
		if (c->fd < 0 || !c->stuck)
			continue;
		c->stuck = false;
		if (c->gone)
			serve_client(shim, c, POLLHUP);
		else
			read_client(shim, c);
	}
}

enum { AT_CHILD, AT_SIGNAL, AT_LISTENER, AT_STDIN, AT_LOG, AT_OOM, AT_PACKER, AT_OUT, AT_CLIENTS = AT_OUT + 2 };

static void gather(const struct shim *shim, int signals, struct pollfd p[])
{
	const struct forward *forward = shim->log.forward;
	bool held = shim->unlogged.bytes > 0 || (forward && forward_waits(forward));
	bool stuck = false, seat = shim->seats < CLIENTS, room = !held && free_chunk((struct shim *)shim) != NULL;
	for (unsigned i = 0; i < shim->seats; i++) {
		p[AT_CLIENTS + i] = interest(shim, &shim->clients[i]);
		stuck |= shim->clients[i].fd >= 0 && shim->clients[i].stuck;
		seat |= i > 0 && shim->clients[i].fd < 0;
	}
	p[AT_CHILD] = (struct pollfd){shim->exited ? -1 : shim->x->child_pidfd, POLLIN, 0};
	p[AT_SIGNAL] = (struct pollfd){signals, POLLIN, 0};
	/* with every seat taken, who comes waits in the backlog */
	p[AT_LISTENER] = (struct pollfd){seat ? shim->listener : -1, POLLIN, 0};
	p[AT_STDIN] = (struct pollfd){stuck ? shim->in : -1, POLLOUT, 0};
	p[AT_LOG] = (struct pollfd){held && forward ? forward->fd : -1, forward ? forward_events(forward) : 0, 0};
	p[AT_PACKER] = (struct pollfd){shim->packer > 0 ? shim->packer_end : -1, POLLIN, 0};
	p[AT_OOM] = (struct pollfd){the_oom_watch.fd, the_oom_watch.events, 0};
	for (unsigned i = 0; i < 2; i++)
		p[AT_OUT + i] = (struct pollfd){room && !shim->hung_up ? shim->out[i] : -1, POLLIN, 0};
}

static void forward_stop(struct shim *shim, int signals)
{
	struct signalfd_siginfo info;
	while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
		signal_container(shim, shim->stop_signal, false);
}

/* One turn of the loop. */
static void turn(struct shim *shim, int signals, int timeout_ms)
{
	struct pollfd p[AT_CLIENTS + CLIENTS];
	unsigned seats = shim->seats; /* of those that are polled: others may come in this turn */
	gather(shim, signals, p);
	if (shim->hung_up && (timeout_ms < 0 || timeout_ms > HANGUP_MS))
		timeout_ms = HANGUP_MS;
	shim->hung_up = false;
	int look_ms = oom_timeout();
	if (look_ms >= 0 && (timeout_ms < 0 || timeout_ms > look_ms))
		timeout_ms = look_ms;
	int ready = poll(p, AT_CLIENTS + seats, timeout_ms);
	if (ready >= 0)
		oom_look(ready > 0 && p[AT_OOM].revents, now_ms());
	if (ready <= 0)
		return;
	if (p[AT_SIGNAL].revents)
		forward_stop(shim, signals);
	/* clients first: what they asked before the output came counts for it */
	for (unsigned i = 0; i < seats; i++)
		if (p[AT_CLIENTS + i].revents && shim->clients[i].fd == p[AT_CLIENTS + i].fd)
			serve_client(shim, &shim->clients[i], p[AT_CLIENTS + i].revents);
	if (p[AT_LISTENER].revents)
		accept_clients(shim);
	if (p[AT_STDIN].revents)
		resume_stdin(shim);
	if (p[AT_LOG].revents)
		log_rest(shim);
	for (unsigned i = 0; i < 2; i++)
		if (p[AT_OUT + i].revents && !read_output(shim, i))
			shim->hung_up |= shim->terminal && shim->out[i] >= 0;
	if (p[AT_CHILD].revents)
		reap(shim);
	if (p[AT_PACKER].revents)
		end_packing(shim);
	begin_packing(shim);
	rest_from_pour(shim);
}

/* The time is up with the pipes still open: takes what lies in them, over the heads of slow clients. */
static void sweep(struct shim *shim)
{
	/* nor is a receiver of the log that takes nothing waited for */
	if (shim->log.forward)
		shim->log.forward->patient = false;
	log_rest(shim);
	for (unsigned i = 0; i < 2; i++) {
		/* a pipe holds 1 MiB at most; somebody who writes on and on is not waited for */
		for (unsigned most = 0; most < 64 && shim->out[i] >= 0; most++) {
			for (unsigned k = 0; k < shim->seats && !free_chunk(shim); k++)
				if (shim->clients[k].bits && shim->clients[k].next == oldest_needed(shim))
					close_client(shim, &shim->clients[k]);
			if (!read_output(shim, i))
				break;
		}
		if (shim->out[i] >= 0)
			close_output(shim, i);
	}
}

static void keep_nonblocking(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Takes the descriptors of the step out of the registers and closes every other one. */
static void take_registers(struct shim *shim, struct executor *x, const struct step *s)
{
	int terminal = reg(x, &s->v[SUPERVISE_TERMINAL]);
	int kept[] = {reg(x, &s->v[SUPERVISE_STDIN]), reg(x, &s->v[SUPERVISE_STDOUT]), reg(x, &s->v[SUPERVISE_STDERR]),
	              terminal, reg(x, &s->v[SUPERVISE_CGROUP])};
	for (unsigned i = 0; i < REGISTER_LIMIT; i++) {
		bool keep = false;
		for (unsigned k = 0; k < countof(kept); k++)
			keep |= x->registers[i] == kept[k];
		if (!keep)
			close(x->registers[i]);
		x->registers[i] = -1;
	}
	shim->in = kept[0];
	shim->out[0] = kept[1];
	shim->out[1] = kept[2];
	shim->cgroup = kept[4];
	shim->terminal = terminal >= 0;
	if (shim->terminal) {
		shim->in = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
		shim->out[0] = terminal;
	}
	if (x->peer >= 0)
		close(x->peer);
	x->peer = -1;
	keep_nonblocking(shim->in);
	keep_nonblocking(shim->out[0]);
	keep_nonblocking(shim->out[1]);
}

static void run_loop(struct shim *shim, int signals)
{
	int64_t deadline = 0;
	while (!shim->exited || shim->out[0] >= 0 || shim->out[1] >= 0 || !log_rest(shim)) {
		int timeout = -1;
		if (shim->exited) {
			int64_t now = now_ms();
			if (deadline == 0)
				deadline = now + DRAIN_MS;
			if (now >= deadline)
				break;
			timeout = (int)(deadline - now);
		}
		turn(shim, signals, timeout);
	}
	sweep(shim);
}

int op_open_shim(struct executor *x, const struct step *s)
{
	struct shim *shim = &the_shim;
	const char *log = s->v[OPEN_SHIM_LOG].text.at, *socket = s->v[OPEN_SHIM_SOCKET].text.at;
	if (shim->open)
		return fail(x, EINVAL, "open-shim stands twice");
	shim->open = true;
	shim->listener = shim->dir = shim->cgroup = -1;
	int r = log_open(&shim->log, log, (enum log_format)s->v[OPEN_SHIM_FORMAT].number,
	                 s->v[OPEN_SHIM_LIMIT_BYTES].number, (uint32_t)s->v[OPEN_SHIM_FILES].number);
	if (r < 0)
		return fail(x, -r, "open log %s", log);
	r = listen_at(shim, socket);
	return r < 0 ? fail(x, -r, "listen at %s", socket) : 0;
}

int op_label_log(struct executor *x, const struct step *s)
{
	struct shim *shim = &the_shim;
	const struct bytes *attributes = &s->v[LABEL_LOG_ATTRIBUTES].text;
	if (!shim->open || attributes->length > LOG_ATTRIBUTES_LIMIT)
		return fail(x, EINVAL, "label-log");
	shim->log.attributes = attributes->at;
	shim->log.attributes_bytes = attributes->length;
	return 0;
}

int op_pack_log(struct executor *x, const struct step *s)
{
	struct shim *shim = &the_shim;
	if (!shim->open || shim->log.packs)
		return fail(x, EINVAL, "pack-log");
	shim->log.packs = true;
	/* what the shim before this one has left */
	shim->log.turned = true;
	shim->pack_args = s->v[PACK_LOG_ARGS].list;
	shim->pack_env = s->v[PACK_LOG_ENV].list;
	return 0;
}

int op_supervise(struct executor *x, const struct step *s)
{
	struct shim *shim = &the_shim;
	sigset_t all, stop;

	shim->x = x;
	shim->stop_signal = (uint32_t)s->v[SUPERVISE_STOP_SIGNAL].number;
	shim->freezer = (uint32_t)s->v[SUPERVISE_FREEZER].number;
	if (!shim->open)
		return fail(x, EINVAL, "supervise without open-shim");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	int signals = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return fail(x, errno, "signalfd");
	prctl(PR_SET_NAME, "gantry-shim");
	take_registers(shim, x, s);
	adopt_client(shim, 0, x->controller);
	x->controller = -1; /* from here on its frames wait their turn behind the output */
	/* what it sent with its last go counts for the first byte of output */
	read_client(shim, &shim->clients[0]);
	run_loop(shim, signals);
	log_close(&shim->log);
	x->log_bytes_lost = shim->log.lost;
	close(signals);
	if (shim->in >= 0)
		close(shim->in);
	if (shim->cgroup >= 0)
		close(shim->cgroup);
	shim->in = shim->cgroup = -1;
	x->supervised = true;
	return 0;
}

/* What of the clean-up failed, for the launching controller; it stands on stderr in any case. */
static void send_failure(const struct shim *shim, const struct client *c)
{
	const struct failure *f = &shim->x->failure;
	uint8_t frame[8 + FAILURE_LIMIT] = {0};
	if (f->stage != STAGE_CLEANUP || c != &shim->clients[0])
		return;
	uint32_t bytes = failure_payload(f, frame + 8);
	memcpy(frame, &bytes, 4);
	frame[4] = REPLY_FAILED;
	/* the stream stands between two frames here, and a socket with nothing in it takes this whole */
	send(c->fd, frame, 8 + bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_exit(struct shim *shim, struct client *c)
{
	uint32_t status[3];
	exit_payload(shim->x, status);
	send_failure(shim, c);
	answer(shim, c, REPLY_EXIT, status, sizeof status);
}

void shim_unlisten(void)
{
	stop_listening(&the_shim);
}

/* Throws away what a client still says; false when it has closed its end. */
static bool discard_input(const struct client *c)
{
	char buffer[4096];
	ssize_t n;
	while ((n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
		;
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Gives one client what it is owed; true once it has all of it. */
static bool part_from(struct shim *shim, struct client *c, bool *told)
{
	/* a request that came in the meantime is answered, as far as it still can be */
	c->stuck = c->gone = false;
	read_client(shim, c);
	write_client(shim, c);
	if (c->fd >= 0 && !client_has_output(shim, c) && !*told) {
		*told = true;
		send_exit(shim, c);
	}
	return c->fd >= 0 && *told && c->out_bytes == 0;
}

/*
 * Called after the clean-up: every client gets the rest of the output and then the exit. It closes
 * first: one that is writing must not meet a closed socket before it has read to the end.
 */
void shim_finish(struct executor *x)
{
	struct shim *shim = &the_shim;
	shim->x = x;
	bool told[CLIENTS] = {false}, parted[CLIENTS] = {false};
	int64_t until[CLIENTS], now = now_ms();
	stop_listening(shim);
	accept_clients(shim);
	close(shim->listener);
	for (unsigned i = 0; i < shim->seats; i++)
		until[i] = now + FAREWELL_MS;
	for (unsigned open = 1; open > 0; now = now_ms()) {
		struct pollfd p[CLIENTS];
		int64_t first = now + FAREWELL_MS;
		open = 0;
		for (unsigned i = 0; i < shim->seats; i++) {
			struct client *c = &shim->clients[i];
			p[i] = (struct pollfd){-1, 0, 0};
			if (c->fd >= 0 && !parted[i] && part_from(shim, c, &told[i])) {
				parted[i] = true;
				shutdown(c->fd, SHUT_WR);
				until[i] = now + PARTING_MS;
			}
			if (c->fd >= 0 && (now >= until[i] || (parted[i] && !discard_input(c))))
				close_client(shim, c);
			if (c->fd < 0)
				continue;
			p[i] = (struct pollfd){c->fd, parted[i] ? POLLIN : POLLOUT, 0};
			first = until[i] < first ? until[i] : first;
			open++;
		}
		if (open > 0 && poll(p, shim->seats, (int)(first - now)) > 0)
			for (unsigned i = 0; i < shim->seats; i++)
				if (p[i].revents && !parted[i])
					until[i] = now_ms() + FAREWELL_MS;
	}
}
