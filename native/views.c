/*
 * Views of a container's root for a session: of one that runs, through its process; of one that does not, mounted for
 * this process alone, so that nobody else sees the mount and it ends with the session.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include "layer.h"

/* fsconfig(2) takes a value of this length as a directory's path only for lowerdir+ and its kin. */
static int set_option(int context, const char *key, const char *value)
{
	return sys_fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* `joined`: all layers in one value. */
static int try_overlay(struct list lower, const char *upper, const char *work, bool joined)
{
	struct held held = {.count = 0};
	int context = sys_fsopen("overlay", FSOPEN_CLOEXEC), r = context < 0 ? -errno : 0, fd = -1;
	if (r == 0 && joined)
		r = set_joined_layers(context, lower, "", &held);
	while (r == 0 && !joined && lower.count > 0)
		r = set_option(context, "lowerdir+", next_text(&lower).at);
	if (r == 0 && *upper) {
		r = set_option(context, "upperdir", upper);
		if (r == 0)
			r = set_option(context, "workdir", work);
	}
	if (r == 0 && sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	if (r == 0) {
		fd = sys_fsmount(context, FSMOUNT_CLOEXEC, *upper ? 0 : MOUNT_ATTR_RDONLY);
		r = fd < 0 ? -errno : 0;
	}
	let_go(&held);
	if (context >= 0)
		close(context);
	return r < 0 ? r : fd;
}

static int make_overlay(struct list lower, const char *upper, const char *work)
{
	int fd = try_overlay(lower, upper, work, false);
	return fd == -EINVAL ? try_overlay(lower, upper, work, true) : fd;
}

int op_view_overlay(struct executor *x, const struct step *s)
{
	const char *upper = s->v[VIEW_OVERLAY_UPPER].text.at;
	/* attached where nobody else looks, since mounts may come below it: over a root that nothing is looked up from */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(x, errno, "mount namespace");
	int fd = make_overlay(s->v[VIEW_OVERLAY_LOWER].list, upper, s->v[VIEW_OVERLAY_WORK].text.at);
	if (fd < 0)
		return fail(x, -fd, "%.200s", upper);
	if (sys_move_mount(fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		int error = errno;
		close(fd);
		return fail(x, error, "attach");
	}
	x->layer->options = (uint32_t)s->v[VIEW_OVERLAY_OPTIONS].number;
	set_reg(x, &s->v[VIEW_OVERLAY_ROOT], fd);
	return 0;
}

int op_view_mount(struct executor *x, const struct step *s)
{
	const char *path = s->v[VIEW_MOUNT_PATH].text.at, *source = s->v[VIEW_MOUNT_SOURCE].text.at;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	struct stat st;
	int tree = sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	int r = tree < 0 || fstat(tree, &st) < 0 ? -errno : 0;
	if (r == 0 && s->v[VIEW_MOUNT_READONLY].number && sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr) < 0)
		r = -errno;
	int place = r < 0 ? r : place_in_root(reg(x, &s->v[VIEW_MOUNT_ROOT]), path, S_ISDIR(st.st_mode), 0);
	/* a view that takes no writes shows nothing where a place is missing */
	bool nowhere = place == -EROFS;
	if (place >= 0 && attach_mount(tree, place) < 0)
		r = -errno;
	else if (place < 0 && !nowhere)
		r = place;
	if (place >= 0)
		close(place);
	if (tree >= 0)
		close(tree);
	return r < 0 ? fail(x, -r, "%.100s at %.100s", source, path) : 0;
}

/* A copy of the mount at the root of a mount namespace, without those below it. The caller's own stays as it was. */
static int bare_root(int proc)
{
	int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int theirs = openat(proc, "ns/mnt", O_RDONLY | O_CLOEXEC), fd = -1, error = 0;
	if (own < 0 || here < 0 || theirs < 0 || setns(theirs, CLONE_NEWNS) < 0)
		error = errno;
	if (!error) {
		fd = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		error = fd < 0 ? errno : 0;
		/* a process that cannot come back must not go on */
		if (setns(own, CLONE_NEWNS) < 0 || fchdir(here) < 0 || chroot(".") < 0)
			abort();
	}
	if (own >= 0)
		close(own);
	if (here >= 0)
		close(here);
	if (theirs >= 0)
		close(theirs);
	return error ? -error : fd;
}

int op_view_container(struct executor *x, const struct step *s)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%u", (unsigned)s->v[VIEW_CONTAINER_PID].number);
	int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* from here on all goes through this descriptor, which never stands for another process */
	if (proc < 0 || stat_field(proc, "stat", STAT_START) != s->v[VIEW_CONTAINER_START].number) {
		if (proc >= 0)
			close(proc);
		return fail(x, ESRCH, "process %u", (unsigned)s->v[VIEW_CONTAINER_PID].number);
	}
	int fd = s->v[VIEW_CONTAINER_BARE].number ? bare_root(proc) : openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 ? (s->v[VIEW_CONTAINER_BARE].number ? -fd : errno) : 0;
	close(proc);
	if (error)
		return fail(x, error, "root of %s", path);
	uid_t uid = (uid_t)s->v[VIEW_CONTAINER_UID].number;
	gid_t gid = (gid_t)s->v[VIEW_CONTAINER_GID].number;
	/* with all its privileges: what a user without them may not do is none of this session's business */
	if ((uid || gid) && prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0) {
		error = errno;
		close(fd);
		return fail(x, error, "keep capabilities");
	}
	setfsgid(gid);
	setfsuid(uid);
	x->layer->options = (uint32_t)s->v[VIEW_CONTAINER_OPTIONS].number;
	set_reg(x, &s->v[VIEW_CONTAINER_ROOT], fd);
	return 0;
}
