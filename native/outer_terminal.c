/*
 * The terminal of whoever started us, for a client of a shim: its size now and whenever it changes, and raw mode from
 * their go on, so that every byte that is typed goes to the container, and what that prints is printed as it is.
 * However they end, SIGKILL included, the terminal is set as it was.
 */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include "executor.h"

struct outer {
	int terminal, controller, signals;
	bool raw;
	struct termios before;
};

static int make_raw(struct outer *o)
{
	struct termios mode = o->before;
	cfmakeraw(&mode);
	/* in the background this stops us, as job control wants it, until we are in the foreground */
	sigset_t stop, before;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_UNBLOCK, &stop, &before);
	int r = tcsetattr(o->terminal, TCSANOW, &mode) < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	o->raw = r == 0;
	return r;
}

static int tell_size(const struct outer *o)
{
	struct winsize size;
	if (ioctl(o->terminal, TIOCGWINSZ, &size) < 0)
		return -errno;
	const uint16_t told[2] = {size.ws_row, size.ws_col};
	return send_frame(o->controller, REPLY_SIZE, told, sizeof told);
}

static int take_signal(struct outer *o)
{
	struct signalfd_siginfo info;
	if (read(o->signals, &info, sizeof info) != (ssize_t)sizeof info)
		return 0;
	/* a shell that had the job stopped has set the terminal to its own liking */
	if (info.ssi_signo == SIGCONT && o->raw && !in_background(o->terminal))
		make_raw(o);
	return info.ssi_signo == SIGWINCH || info.ssi_signo == SIGCONT ? tell_size(o) : 0;
}

/* 1 when the controller has gone, or -errno. */
static int take_request(struct executor *x, struct outer *o)
{
	uint32_t bytes;
	int type = read_frame_header(o->controller, &bytes);
	if (type != REQUEST_GO || bytes > 0)
		return 1;
	int r = make_raw(o);
	if (r < 0)
		return fail(x, -r, "raw mode");
	const uint32_t answer = 0;
	send_frame(o->controller, REPLY_ANSWER, &answer, sizeof answer);
	return 0;
}

static int serve(struct executor *x, struct outer *o)
{
	struct pollfd p[] = {{o->controller, POLLIN, 0}, {o->signals, POLLIN, 0}};
	int r = tell_size(o);
	while (r == 0) {
		if (poll(p, countof(p), -1) < 0)
			continue;
		if (p[1].revents)
			r = take_signal(o);
		if (r == 0 && p[0].revents)
			r = take_request(x, o);
	}
	return r;
}

int op_watch_terminal(struct executor *x, const struct step *s)
{
	struct outer o = {.terminal = (int)s->v[WATCH_TERMINAL_TERMINAL].number, .controller = x->controller};
	sigset_t all;
	if (tcgetattr(o.terminal, &o.before) < 0)
		return fail(x, errno, "descriptor %d", o.terminal);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	o.signals = signalfd(-1, &all, SFD_CLOEXEC);
	if (o.signals < 0)
		return fail(x, errno, "signalfd");
	int r = serve(x, &o);
	close(o.signals);
	/* in the background it is another job's to set */
	if (o.raw && !in_background(o.terminal))
		tcsetattr(o.terminal, TCSANOW, &o.before);
	return r < 0 ? r : 0;
}
