/*
 * The guard of a process that another OCI runtime starts and lets go on by itself: whoever is killed before it is written
 * down, it does not stay.
 *
 *     executor ── guard ── runtime ── the process      the runtime ends: the guard is the parent
 *     executor ── the process                          the guard is dismissed: the executor is
 *     guard kills all that it is the parent of         the executor ends before
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"

enum { GUARD_SOCKET = 3 };

static void kill_children(void)
{
	DIR *list = opendir("/proc");
	struct dirent *entry;
	while (list && (entry = readdir(list))) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		/* a child keeps its number until it is reaped */
		if (pid > 0 && process_stat(pid, STAT_PARENT) == (uint64_t)getpid())
			kill(pid, SIGKILL);
	}
	if (list)
		closedir(list);
}

/* Tells how the runtime has ended. True if that was heard, and it is dismissed. */
static bool is_dismissed(pid_t runtime)
{
	int status;
	char byte;
	struct pollfd either[] = {{.fd = sys_pidfd_open(runtime, 0), .events = POLLIN}, {.fd = GUARD_SOCKET, .events = POLLIN}};
	return either[0].fd >= 0 && poll(either, countof(either), -1) > 0 && either[0].revents &&
	       waitpid(runtime, &status, 0) == runtime && write_all(GUARD_SOCKET, &status, sizeof status) == 0 &&
	       read_all(GUARD_SOCKET, &byte, 1) == 0;
}

pid_t stand_guard(int socket)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "gantry-guard");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid_t own = getpid(), runtime = fork();
	if (runtime == 0)
		return own;
	if (runtime < 0 || dup2(socket, GUARD_SOCKET) < 0)
		_exit(127);
	/* whoever waits for the end of a stream or a connection does not wait for this process */
	sys_close_range(GUARD_SOCKET + 1, ~0u, 0);
	/* what a killed process leaves behind is found when that has been reaped */
	if (!is_dismissed(runtime))
		do
			kill_children();
		while (waitpid(-1, NULL, 0) > 0);
	_exit(0);
}

int await_guarded(struct executor *x, int timeout_ms, const char *path)
{
	int status;
	struct pollfd told = {.fd = x->guard.socket, .events = POLLIN};
	if (poll(&told, 1, timeout_ms) == 0)
		return fail(x, ETIMEDOUT, "%s", path);
	int r = read_all(x->guard.socket, &status, sizeof status);
	return r < 0 ? fail(x, -r, "guard of %s", path) : program_ended(x, status, path);
}

void end_guard(struct executor *x)
{
	if (x->guard.pid <= 0)
		return;
	close(x->guard.socket);
	waitpid(x->guard.pid, NULL, 0);
	x->guard.pid = 0;
}

int prove_child(struct executor *x, pid_t pid)
{
	uint64_t parent = process_stat(pid, STAT_PARENT);
	/* a child keeps its number until it is reaped, and nobody else reaps ours, or those of our guard */
	if (parent == (uint64_t)getpid() || (x->guard.pid > 0 && parent == (uint64_t)x->guard.pid))
		return 0;
	return fail(x, ECHILD, "process %d is not what the runtime has left to its caller", pid);
}

void stop_adopting(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

int op_guard_runtime(struct executor *x, const struct step *s)
{
	(void)s;
	if (x->guard.pid > 0)
		return fail(x, EINVAL, "there is one already");
	x->guard.wanted = true;
	return 0;
}

int op_dismiss_guard(struct executor *x, const struct step *s)
{
	(void)s;
	if (x->guard.pid <= 0)
		return fail(x, EINVAL, "there is none");
	/* one that was killed has nothing to hear, and has left the process to us as well */
	write_all(x->guard.socket, "", 1);
	end_guard(x);
	int r = prove_child(x, x->child);
	stop_adopting();
	return r;
}
