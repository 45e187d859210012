/*
 * Mounts that shims share. Each is the root of a mount namespace that has nothing else, and a shim holds that namespace
 * as a descriptor: copies of a mount that is attached nowhere can be made since Linux 6.15 only.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "executor.h"

/* How long a process that lacks what it should have may take to end. */
#define END_MS 2000

/* In a new mount namespace, of which `held` becomes a descriptor: all but the mount goes. */
static int leave_alone(struct executor *x, int mounted, int *held)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(x, errno, "mount namespace");
	*held = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (*held < 0 || sys_move_mount(mounted, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(x, errno, "attach");
	return pivot_to(x, mounted);
}

int op_hold_mount(struct executor *x, const struct step *s)
{
	int mounted = reg(x, &s->v[HOLD_MOUNT_MOUNT]), held = -1;
	int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return fail(x, errno, "mount namespace");
	int r = leave_alone(x, mounted, &held);
	/* root and working directory come back with it */
	if (setns(own, CLONE_NEWNS) < 0)
		_exit(125);
	close(own);
	close(mounted);
	set_reg(x, &s->v[HOLD_MOUNT_MOUNT], -1);
	if (r < 0 && held >= 0)
		close(held);
	else if (r == 0)
		set_reg(x, &s->v[HOLD_MOUNT_HELD], held);
	return r;
}

/* What stands behind a link of proc is opened only when it is known to be no device and no fifo. */
static int open_mount_namespace(const char *path)
{
	char again[64];
	struct statfs fs;
	int link = open(path, O_PATH | O_CLOEXEC), fd = -1, error = 0;
	if (link < 0)
		return -errno;
	if (fstatfs(link, &fs) < 0 || fs.f_type != NSFS_MAGIC)
		error = EBADF;
	snprintf(again, sizeof again, "/proc/self/fd/%d", link);
	if (!error && (fd = open(again, O_RDONLY | O_CLOEXEC)) < 0)
		error = errno;
	if (!error && !is_namespace(fd, CLONE_NEWNS))
		error = EBADF;
	close(link);
	if (error && fd >= 0)
		close(fd);
	return error ? -error : fd;
}

int op_take_held(struct executor *x, const struct step *s)
{
	int process = reg(x, &s->v[TAKE_HELD_PROCESS]);
	unsigned pid = (unsigned)s->v[TAKE_HELD_PID].number, number = (unsigned)s->v[TAKE_HELD_NUMBER].number;
	char path[64];
	snprintf(path, sizeof path, "/proc/%u/fd/%u", pid, number);
	int fd = open_mount_namespace(path);
	/* a process closes all that it has a moment before it has ended */
	struct pollfd end = {.fd = process, .events = POLLIN};
	bool ended = poll(&end, 1, fd < 0 ? END_MS : 0) > 0;
	if (ended && fd >= 0)
		close(fd);
	if (ended || fd < 0)
		return fail(x, ended ? ESRCH : -fd, "%s", path);
	set_reg(x, &s->v[TAKE_HELD_HELD], fd);
	return 0;
}

int op_keep_held(struct executor *x, const struct step *s)
{
	int held = reg(x, &s->v[KEEP_HELD_HELD]), number = (int)s->v[KEEP_HELD_NUMBER].number;
	int kept = fcntl(held, F_DUPFD_CLOEXEC, number), error = kept < 0 ? errno : 0;
	if (kept >= 0 && kept != number) {
		close(kept);
		error = EBUSY;
	}
	close(held);
	set_reg(x, &s->v[KEEP_HELD_HELD], -1);
	return error ? fail(x, error, "descriptor %d", number) : 0;
}
