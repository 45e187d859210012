/*
 * Has rotated log files compressed by another program, which is no business of a shim: one at a time, that makes a
 * compressed copy beside each file (log.h). When it has ended the copies take the places of the files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "shim.h"

static pid_t start_packer(struct list program, struct list environment)
{
	char **args = text_vector(program, 0), **env = text_vector(environment, 0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), out = dup(1), err = dup(2);
	pid_t pid = -1;
	if (args && args[0] && env && null >= 0 && out >= 0 && err >= 0) {
		/* nobody's terminal or pipe stays open for it */
		dup2(null, 1);
		dup2(null, 2);
		pid = start_program(args[0], args, env, null);
		dup2(out, 1);
		dup2(err, 2);
	}
	for (int *fd = (int[]){null, out, err, -2}; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	free(args);
	free(env);
	return pid;
}

/* Before the first file is turned over there is nothing to do, and a start costs no process. */
static bool has_rotated(const struct log *log)
{
	char name[300];
	snprintf(name, sizeof name, "%s.1", log->name);
	return faccessat(log->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void begin_packing(struct shim *shim)
{
	if (!shim->log.turned || !shim->log.packs || shim->packer > 0)
		return;
	shim->log.turned = false;
	log_take_packed(&shim->log);
	if (!has_rotated(&shim->log))
		return;
	/* what cannot be compressed now is looked at again with the next file */
	pid_t pid = start_packer(shim->pack_args, shim->pack_env);
	if (pid < 0)
		return;
	shim->packer_end = sys_pidfd_open(pid, 0);
	if (shim->packer_end >= 0)
		shim->packer = pid;
	else
		waitpid(pid, NULL, 0);
}

void end_packing(struct shim *shim)
{
	waitpid(shim->packer, NULL, 0);
	close(shim->packer_end);
	shim->packer = 0;
	log_take_packed(&shim->log);
}
