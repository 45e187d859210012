/* Entering a container that runs: its init, and what the new process leaves behind on its way in. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "executor.h"

int op_open_process(struct executor *x, const struct step *s)
{
	pid_t pid = (pid_t)s->v[OPEN_PROCESS_PID].number;
	int fd = sys_pidfd_open(pid, 0);
	if (fd < 0)
		return fail(x, errno, "process %d", pid);
	/* the number may be another process's by now; asked after the descriptor is there, the answer holds for it */
	if (process_start_time(pid) != s->v[OPEN_PROCESS_START].number) {
		close(fd);
		return fail(x, ESRCH, "process %d", pid);
	}
	set_reg(x, &s->v[OPEN_PROCESS_FD], fd);
	return 0;
}

/*
 * Close-on-exec is not enough: who may trace the new process in the container could take what it still holds, or
 * choose its working directory below /proc/self/fd (CVE-2016-9962, CVE-2024-21626).
 */
int op_close_others(struct executor *x, const struct step *s)
{
	int first = 3 + (int)s->v[CLOSE_OTHERS_KEEP].number, fd = reg(x, &s->v[CLOSE_OTHERS_FD]);
	int low = x->peer < fd ? x->peer : fd, high = x->peer < fd ? fd : x->peer;
	for (size_t i = 0; i < x->plan.registers; i++)
		if (x->registers[i] != fd)
			x->registers[i] = -1;
	const int kept[] = {low, high};
	for (size_t i = 0; i < countof(kept); i++) {
		if (kept[i] > first && sys_close_range((unsigned)first, (unsigned)kept[i] - 1, 0) < 0)
			return fail(x, errno, "close_range from %d", first);
		if (kept[i] >= first)
			first = kept[i] + 1;
	}
	return sys_close_range((unsigned)first, ~0u, 0) < 0 ? fail(x, errno, "close_range from %d", first) : 0;
}

int op_set_own_oom_score(struct executor *x, const struct step *s)
{
	const struct bytes *value = &s->v[SET_OWN_OOM_SCORE_VALUE].text;
	int r = write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", value->at, value->length);
	return r < 0 ? fail(x, -r, "oom_score_adj = %s", value->at) : 0;
}

int op_prove_descriptors(struct executor *x, const struct step *s)
{
	int count = (int)s->v[PROVE_DESCRIPTORS_COUNT].number;
	for (int fd = 3; fd < 3 + count; fd++) {
		int flags = fcntl(fd, F_GETFD);
		/* what came through execve is not close-on-exec, and what was opened since is */
		if (flags < 0 || (flags & FD_CLOEXEC))
			return fail(x, EBADF, "descriptor %d of %d", fd, count);
	}
	return 0;
}

int op_hold_signals(struct executor *x, const struct step *s)
{
	(void)s;
	sigset_t all;
	sigfillset(&all);
	return sigprocmask(SIG_BLOCK, &all, NULL) < 0 ? fail(x, errno, "block signals") : 0;
}
