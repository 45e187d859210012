/*
 * Waits in the foreground for the end of the child. One loop over its end, signals for this process, the
 * terminal of the container and its word that it is ready.
 *
 *     stdin ──► input ring ──► master          the terminal outside is in raw mode meanwhile, so that
 *     stdout ◄─ output ring ◄─ master          ^C and the like are for the container
 *
 * - A side that takes nothing holds the other up: a ring is read into only while it has room.
 * - The streams are those of whoever started us and shared with them, so O_NONBLOCK is never set on them:
 *   pipes and terminals are opened once more, sockets are told with each call.
 * - The end of stdin ends nothing in the container; the end of stdout hangs its terminal up.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "executor.h"

#define RING_BYTES 65536
/* A terminal that nobody in the container has open is looked at again after this time. */
#define HANGUP_MS 100
/* How much is read after the end: more than a terminal holds, where somebody outside of the container writes on. */
#define DRAIN_BYTES (256 * 1024)

struct ring {
	char data[RING_BYTES];
	size_t start, length;
};

struct stream {
	int fd; /* -1: over */
	bool own, socket;
};

struct foreground {
	struct executor *x;
	int master, signals, notify, manager;
	pid_t main_pid;
	struct stream in, out;
	struct ring input, output;
	int console; /* the terminal outside, -1 without one */
	bool own_console, raw, resting, hung_up, ended, impatient;
	struct termios before;
};

/* --- rings --- */

static size_t ring_room(const struct ring *ring, char **at)
{
	size_t end = (ring->start + ring->length) % RING_BYTES;
	*at = (char *)ring->data + end;
	return ring->length == RING_BYTES ? 0 : (end < ring->start ? ring->start : RING_BYTES) - end;
}

static size_t ring_content(const struct ring *ring, const char **at)
{
	size_t whole = RING_BYTES - ring->start;
	*at = ring->data + ring->start;
	return ring->length < whole ? ring->length : whole;
}

/* 1 if something came, 0 if nothing was there, -1 at the end or on an error (errno, 0 for the end). */
static int fill(struct ring *ring, const struct stream *from)
{
	char *at;
	size_t room = ring_room(ring, &at);
	ssize_t n = from->socket ? recv(from->fd, at, room, MSG_DONTWAIT) : read(from->fd, at, room);
	if (n > 0) {
		ring->length += (size_t)n;
		return 1;
	}
	if (n == 0)
		errno = 0;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int drain(struct ring *ring, const struct stream *to)
{
	const char *at;
	size_t bytes = ring_content(ring, &at);
	ssize_t n = to->socket ? send(to->fd, at, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) : write(to->fd, at, bytes);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	ring->start = (ring->start + (size_t)n) % RING_BYTES;
	ring->length -= (size_t)n;
	return 1;
}

/* --- the streams and the terminal outside --- */

static struct stream open_stream(int fd, int flags)
{
	struct stream stream = {.fd = fd};
	struct stat st;
	char path[32];
	if (fstat(fd, &st) < 0)
		return (struct stream){.fd = -1};
	stream.socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !isatty(fd))
		return stream;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int again = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	/* what may not be opened again (a pipe of another user) is used as it is: poll says when it is ready */
	if (again >= 0)
		stream = (struct stream){.fd = again, .own = true};
	return stream;
}

static void end_stream(struct stream *stream)
{
	if (stream->fd >= 0 && stream->own)
		close(stream->fd);
	stream->fd = -1;
}

bool in_background(int terminal)
{
	pid_t group = tcgetpgrp(terminal);
	/* no group: it is not the terminal of our session, so there is no job control to mind */
	return group > 0 && group != getpgrp();
}

static void copy_size(const struct foreground *f)
{
	struct winsize size;
	if (f->console >= 0 && f->master >= 0 && ioctl(f->console, TIOCGWINSZ, &size) == 0)
		ioctl(f->master, TIOCSWINSZ, &size);
}

/* Line ends are still made outside (OPOST): the terminal inside adds no carriage returns. */
static int make_raw(struct foreground *f)
{
	struct termios mode = f->before;
	cfmakeraw(&mode);
	mode.c_oflag |= OPOST;
	if (tcsetattr(f->console, TCSANOW, &mode) < 0)
		return -errno;
	f->raw = true;
	return 0;
}

static void restore(struct foreground *f)
{
	/* in the background it is another job's to set */
	if (f->raw && !in_background(f->console))
		tcsetattr(f->console, TCSANOW, &f->before);
	f->raw = false;
}

static int open_console(struct foreground *f, uint64_t number)
{
	f->own_console = number > 2;
	f->console = number > 2 ? open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) : (int)number;
	if (f->console < 0 || tcgetattr(f->console, &f->before) < 0)
		return fail(f->x, errno, "open /dev/tty");
	/* in the background this stops us, as job control wants it, until we are in the foreground */
	sigset_t stop, before;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_UNBLOCK, &stop, &before);
	int r = make_raw(f);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r < 0 ? fail(f->x, -r, "failed to set the terminal to raw mode") : 0;
}

static void hang_up(struct foreground *f)
{
	close(f->master);
	f->master = -1;
	end_stream(&f->in);
}

/* --- the loop --- */

static void handle_signal(struct foreground *f)
{
	struct signalfd_siginfo info;
	if (read(f->signals, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	int number = (int)info.ssi_signo;
	if (number == SIGCHLD)
		return;
	if (number == SIGWINCH && f->console >= 0) {
		copy_size(f);
		return;
	}
	if (number == SIGCONT && f->raw && !in_background(f->console)) {
		/* a shell that had us stopped has set the terminal to its own liking */
		make_raw(f);
		copy_size(f);
		f->resting = false;
	}
	if (f->ended)
		f->impatient |= number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT;
	else
		sys_pidfd_send_signal(f->x->child_pidfd, number);
}

static void handle_ready(struct foreground *f)
{
	if (!read_ready(f->notify))
		return;
	int barrier = tell_ready(f->manager, f->main_pid);
	/* we stay, so nobody need wait until the manager has looked at us */
	if (barrier >= 0)
		close(barrier);
}

static void read_input(struct foreground *f)
{
	if (fill(&f->input, &f->in) >= 0)
		return;
	/* in the background the terminal outside is not ours to read; SIGCONT says when it is again */
	if (errno == EIO && in_background(f->in.fd))
		f->resting = true;
	else
		end_stream(&f->in);
}

static void read_output(struct foreground *f)
{
	const struct stream master = {.fd = f->master};
	char *room;
	if (ring_room(&f->output, &room) == 0) {
		/* only a hangup is told of then, and would be again at once */
		f->hung_up = true;
		return;
	}
	int r = fill(&f->output, &master);
	/* EIO: nobody has it open; somebody may open it again as long as the container lives */
	if (r <= 0 && f->ended)
		hang_up(f);
	else if (r < 0)
		f->hung_up = true;
	if (f->out.fd < 0)
		f->output.length = 0;
}

static void write_output(struct foreground *f)
{
	if (drain(&f->output, &f->out) >= 0)
		return;
	end_stream(&f->out);
	f->output.length = 0;
	if (f->master >= 0)
		hang_up(f);
}

static void write_input(struct foreground *f)
{
	const struct stream master = {.fd = f->master};
	if (drain(&f->input, &master) < 0)
		f->input.length = 0;
}

enum { AT_CHILD, AT_SIGNAL, AT_CONTROLLER, AT_NOTIFY, AT_IN, AT_OUT, AT_MASTER, AT_ALL };

static void gather(struct foreground *f, struct pollfd p[AT_ALL])
{
	char *room;
	bool has_input = f->input.length > 0, has_output = f->output.length > 0;
	bool input_room = ring_room(&f->input, &room) > 0, output_room = ring_room(&f->output, &room) > 0;
	bool live = f->master >= 0 && !f->hung_up;
	p[AT_CHILD] = (struct pollfd){f->ended ? -1 : f->x->child_pidfd, POLLIN, 0};
	p[AT_SIGNAL] = (struct pollfd){f->signals, POLLIN, 0};
	p[AT_CONTROLLER] = (struct pollfd){f->master >= 0 ? f->x->controller : -1, 0, 0};
	p[AT_NOTIFY] = (struct pollfd){f->notify, POLLIN, 0};
	p[AT_IN] = (struct pollfd){live && !f->ended && !f->resting && input_room ? f->in.fd : -1, POLLIN, 0};
	p[AT_OUT] = (struct pollfd){has_output ? f->out.fd : -1, POLLOUT, 0};
	short master = (short)((output_room ? POLLIN : 0) | (has_input ? POLLOUT : 0));
	p[AT_MASTER] = (struct pollfd){live && master ? f->master : -1, master, 0};
}

static void turn(struct foreground *f)
{
	struct pollfd p[AT_ALL];
	gather(f, p);
	int timeout = f->hung_up ? HANGUP_MS : -1;
	f->hung_up = false;
	if (poll(p, AT_ALL, timeout) <= 0)
		return;
	if (p[AT_SIGNAL].revents)
		handle_signal(f);
	if (p[AT_CONTROLLER].revents) {
		/* who started us was killed, and with them the right to the terminal outside */
		restore(f);
		hang_up(f);
		return;
	}
	if (p[AT_NOTIFY].revents)
		handle_ready(f);
	if (p[AT_OUT].revents)
		write_output(f);
	if (p[AT_MASTER].revents & POLLOUT && f->master >= 0)
		write_input(f);
	if (p[AT_MASTER].revents & (POLLIN | POLLHUP | POLLERR) && f->master >= 0)
		read_output(f);
	if (p[AT_IN].revents && f->in.fd >= 0)
		read_input(f);
	if (p[AT_CHILD].revents)
		f->ended = true;
}

/* After the end: what the terminal still holds, then what stdout has not taken yet. */
static void finish(struct foreground *f)
{
	size_t left = DRAIN_BYTES;
	f->input.length = 0;
	while (!f->impatient && (f->master >= 0 || f->output.length > 0)) {
		size_t before = f->output.length;
		if (f->master >= 0)
			read_output(f);
		left -= f->output.length - before < left ? f->output.length - before : left;
		if (f->master >= 0 && left == 0)
			hang_up(f);
		f->hung_up = false;
		if (f->output.length > 0)
			turn(f);
	}
	if (f->master >= 0)
		hang_up(f);
}

static void run_loop(struct foreground *f)
{
	while (!f->ended)
		turn(f);
	if (f->master >= 0 || f->output.length > 0)
		finish(f);
}

/* Everything that can fail, before any signal is blocked for good. */
static int begin(struct foreground *f, const struct step *s)
{
	uint64_t console = s->v[ATTEND_CHILD_CONSOLE].number;
	sigset_t all;
	int r = 0;
	if (f->master >= 0) {
		fcntl(f->master, F_SETFL, O_RDWR | O_NONBLOCK);
		f->in = open_stream(0, O_RDONLY);
		f->out = open_stream(1, O_WRONLY);
		/* at its end the program that compiled the plan sets the terminal as it has found it */
		reap_compiler(f->x, 0);
		if ((r = open_console(f, console)) < 0)
			return r;
		copy_size(f);
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	f->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return f->signals < 0 ? fail(f->x, errno, "signalfd") : 0;
}

int op_attend_child(struct executor *x, const struct step *s)
{
	static struct foreground f;
	f.x = x;
	f.signals = f.console = f.in.fd = f.out.fd = -1;
	f.master = reg(x, &s->v[ATTEND_CHILD_TERMINAL]);
	f.notify = reg(x, &s->v[ATTEND_CHILD_NOTIFY]);
	f.manager = reg(x, &s->v[ATTEND_CHILD_MANAGER]);
	f.main_pid = (pid_t)s->v[ATTEND_CHILD_MAIN_PID].number;
	int r = begin(&f, s);
	if (r == 0)
		run_loop(&f);
	restore(&f);
	end_stream(&f.in);
	end_stream(&f.out);
	if (f.own_console && f.console >= 0)
		close(f.console);
	if (f.signals >= 0)
		close(f.signals);
	if (r < 0)
		return r;
	reap_child(x);
	return x->child_reaped ? 0 : fail(x, ECHILD, "the child belongs to another process");
}
