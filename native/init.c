/*
 * `gantry-executor init -- program args…`: process 1 of a container that asked for --init. Starts the
 * program, hands signals on to it, reaps what is orphaned, and ends as the program ends.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "executor.h"

/* The program gets a group of its own, and the terminal if there is one, so that ^C is for it alone. */
static void become(char **argv, const sigset_t *mask)
{
	setpgid(0, 0);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	if (tcgetpgrp(0) >= 0)
		tcsetpgrp(0, getpid());
	signal(SIGTTOU, SIG_DFL);
	signal(SIGTTIN, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	int error = errno;
	dprintf(2, "gantry-init: exec %s: %s\n", argv[0], strerror(error));
	/* as shells do: not found, or found and not to be run */
	_exit(error == ENOENT ? 127 : 126);
}

/* Reaps whatever has ended; true if the program is among it, with its status. */
static bool reap_all(pid_t program, int *status)
{
	bool ended = false;
	int s;
	for (pid_t pid; (pid = waitpid(-1, &s, WNOHANG)) > 0;)
		if (pid == program) {
			*status = s;
			ended = true;
		}
	return ended;
}

int run_init(int argc, char **argv)
{
	/* argv: executor init [--] program args… */
	int first = argc > 2 && strcmp(argv[2], "--") == 0 ? 3 : 2;
	sigset_t all, before;
	int status = 0;
	if (first >= argc) {
		dprintf(2, "gantry-init: no program\n");
		return 127;
	}
	/* what the kernel sends for a fault of our own must not wait; all else is taken by sigwaitinfo */
	sigfillset(&all);
	static const int apart[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};
	for (size_t i = 0; i < countof(apart); i++)
		sigdelset(&all, apart[i]);
	sigprocmask(SIG_SETMASK, &all, &before);
	/* of the terminal that init has handed over: none of its concern, nor of the program's */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	pid_t program = fork();
	if (program < 0) {
		dprintf(2, "gantry-init: fork: %s\n", strerror(errno));
		return 126;
	}
	if (program == 0)
		become(argv + first, &before);
	for (;;) {
		siginfo_t info;
		int number = sigwaitinfo(&all, &info);
		if (number < 0)
			continue;
		if (number != SIGCHLD)
			kill(program, number);
		else if (reap_all(program, &status))
			break;
	}
	return exit_code(status);
}
