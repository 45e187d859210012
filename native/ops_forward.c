/*
 * Where the log goes besides its file: a socket, or a program that has the connection because it needs more than a
 * socket (TLS). That is a child of the shim which is told of the shim's end by a signal too: it may be waiting for its
 * receiver, and read nothing.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "shim.h"

/* As docker's command line ends when the engine fails; the detail is then the whole sentence. */
#define ENGINE_FAILED 125

static struct forward the_forward;
static struct {
	struct list args, env; /* none without a relay */
	pid_t pid;             /* 0: none was started */
} the_relay;

static void become_relay(int stream, char **args, char **env, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* nobody's terminal ends it or stays open for it */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGHUP, 0, 0, 0);
	if (getppid() != parent || dup2(stream, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(127);
	become_program(args[0], args, env);
}

/* One that has lost its connection, and so nothing to do any more. */
static void end_relay(void)
{
	if (the_relay.pid <= 0)
		return;
	kill(the_relay.pid, SIGKILL);
	waitpid(the_relay.pid, NULL, 0);
	the_relay.pid = 0;
}

static int start_relay(struct forward *f)
{
	(void)f;
	int ends[2];
	end_relay();
	char **args = text_vector(the_relay.args, 0), **env = text_vector(the_relay.env, 0);
	int error = !args || !env ? ENOMEM : !args[0] ? EINVAL : 0;
	if (!error && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		error = errno;
	if (!error) {
		pid_t parent = getpid(), pid = fork();
		if (pid == 0)
			become_relay(ends[1], args, env, parent);
		error = pid < 0 ? errno : 0;
		the_relay.pid = pid < 0 ? 0 : pid;
		close(ends[1]);
		if (error)
			close(ends[0]);
	}
	free(args);
	free(env);
	return error ? -error : ends[0];
}

int op_relay_log(struct executor *x, const struct step *s)
{
	if (the_shim.log.forward || the_relay.args.count > 0 || s->v[RELAY_LOG_ARGS].list.count == 0)
		return fail(x, EINVAL, "relay-log");
	the_relay.args = s->v[RELAY_LOG_ARGS].list;
	the_relay.env = s->v[RELAY_LOG_ENV].list;
	return 0;
}

int op_forward_log(struct executor *x, const struct step *s)
{
	struct shim *shim = &the_shim;
	struct forward *f = &the_forward;
	const struct bytes *fields = &s->v[FORWARD_LOG_FIELDS].text, *host = &s->v[FORWARD_LOG_HOST].text,
	                   *tag = &s->v[FORWARD_LOG_TAG].text;
	f->protocol = (enum forward_protocol)s->v[FORWARD_LOG_PROTOCOL].number;
	/* the tag may come twice */
	if (!shim->open || shim->log.forward || fields->length > FORWARD_HEAD_LIMIT ||
	    host->length + 2 * (size_t)tag->length > FORWARD_HEAD_LIMIT ||
	    (f->protocol == FORWARD_RELAY) != (the_relay.args.count > 0))
		return fail(x, EINVAL, "forward-log");
	f->format = (enum forward_format)s->v[FORWARD_LOG_FORMAT].number;
	f->patient = s->v[FORWARD_LOG_PATIENT].number;
	f->address = s->v[FORWARD_LOG_ADDRESS].text.at;
	f->port = (uint32_t)s->v[FORWARD_LOG_PORT].number;
	f->host = host->at;
	f->tag = tag->at;
	f->fields = fields->at;
	f->fields_bytes = fields->length;
	f->facility = (uint32_t)s->v[FORWARD_LOG_FACILITY].number;
	f->buffer_bytes = (uint32_t)s->v[FORWARD_LOG_BUFFER_BYTES].number;
	f->start_relay = start_relay;
	int r = forward_open(f);
	if (r < 0 && f->reason[0]) {
		x->failure.status = ENGINE_FAILED;
		return fail(x, -r, "connect log to %s: %s", f->address, f->reason);
	}
	if (r < 0)
		return fail(x, -r, "connect log to %s", f->address);
	shim->log.forward = f;
	return 0;
}
