/*
 * The first content of a volume: a copy of what an image has where the volume will lie. It comes in two steps, so
 * that whoever is killed leaves nothing half: the copy is made aside, and has its name only when it is whole; then
 * it is moved in, which can be gone on with.
 */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "executor.h"

#define DATA "_data"
#define WHOLE "copied"
#define UNFINISHED "copying"
#define LINKS "links"

static int make_directory(int dir, const char *name)
{
	int r = remove_tree(dir, name);
	if (r < 0)
		return r;
	return mkdirat(dir, name, 0700) < 0 ? -errno : open_directory(dir, name);
}

/* 1 if there is nothing in it, 0 if there is, or -errno. */
static int is_empty(int dir)
{
	struct dirent *entry;
	int fd = open_directory(dir, ".");
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	int empty = 1;
	if (!list)
		return fd < 0 ? fd : -errno;
	while (empty && (entry = readdir(list)))
		empty = is_dots(entry->d_name);
	closedir(list);
	return empty;
}

static int copy_aside(int volume, int source, bool durable)
{
	int to = make_directory(volume, UNFINISHED), links = to < 0 ? to : make_directory(volume, LINKS);
	int r = links < 0 ? links : copy_tree(source, to, links);
	if (r == 0)
		r = remove_tree(volume, LINKS);
	/* what has this name is whole, also after a power cut; one pass over the file system, not one a file */
	if (r == 0 && durable && syncfs(to) < 0)
		r = -errno;
	if (r == 0 && renameat(volume, UNFINISHED, volume, WHOLE) < 0)
		r = -errno;
	if (to >= 0)
		close(to);
	if (links >= 0)
		close(links);
	return r;
}

/* What somebody else has put there meanwhile stays. */
static int move_in(int volume, int whole, int data, bool durable)
{
	struct dirent *entry;
	struct stat st;
	int fd = open_directory(whole, ".");
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return fd < 0 ? fd : -errno;
	int r = fstat(whole, &st) < 0 ? -errno : 0;
	while (r == 0 && (entry = readdir(list))) {
		if (is_dots(entry->d_name))
			continue;
		if (renameat(whole, entry->d_name, data, entry->d_name) < 0 && errno != EEXIST && errno != ENOTEMPTY &&
		    errno != EISDIR && errno != ENOTDIR)
			r = -errno;
	}
	closedir(list);
	if (r == 0)
		r = copy_directory_attributes(whole, data, &st);
	/* the sign that something is still to be moved goes when that is done on the disk too */
	if (r == 0)
		r = durable && (fsync(data) < 0 || fsync(whole) < 0) ? -errno : 0;
	if (r == 0)
		r = remove_tree(volume, WHOLE);
	return r == 0 && durable && fsync(volume) < 0 ? -errno : r;
}

static int populate(int volume, int data, int root, const char *path, bool durable)
{
	int whole = open_directory(volume, WHOLE), r = 0;
	if (whole == -ENOENT) {
		int source = open_in_root(root, path, O_RDONLY | O_DIRECTORY, 0), empty = is_empty(data);
		if (source >= 0 && empty == 1)
			r = copy_aside(volume, source, durable);
		else if (source < 0 && source != -ENOENT && source != -ENOTDIR)
			r = source;
		if (source >= 0)
			close(source);
		if (r < 0 || source < 0 || empty != 1)
			return r < 0 ? r : empty < 0 ? empty : 0;
		whole = open_directory(volume, WHOLE);
	}
	if (whole < 0)
		return whole;
	r = move_in(volume, whole, data, durable);
	close(whole);
	return r;
}

int op_populate_volume(struct executor *x, const struct step *s)
{
	const char *volume = s->v[POPULATE_VOLUME_VOLUME].text.at, *path = s->v[POPULATE_VOLUME_PATH].text.at;
	int dir = open_directory(AT_FDCWD, volume), data = dir < 0 ? dir : open_directory(dir, DATA);
	int r = data < 0 ? data : populate(dir, data, reg(x, &s->v[POPULATE_VOLUME_ROOT]), path,
	                                        s->v[POPULATE_VOLUME_DURABLE].number);
	if (data >= 0)
		close(data);
	if (dir >= 0)
		close(dir);
	return r < 0 ? fail(x, -r, "%s from %s", volume, path) : 0;
}

/*
 * A copy of the tree at a place of a detached mount. Before Linux 6.15 there is none of what is attached nowhere, so the
 * mount is attached where nobody sees it, by a process that shares descriptors with this one and has mounts of its own.
 */
static int clone_detached(int top, int place, unsigned flags)
{
	struct {
		int fd;
	} *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		return -errno;
	int status = 0;
	told->fd = -EIO;
	/* as fork(2), but with the same table of descriptors */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    sys_move_mount(top, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
			told->fd = -errno;
		else if ((told->fd = sys_open_tree(place, "", flags)) < 0)
			told->fd = -errno;
		_exit(0);
	}
	int fd = pid < 0 ? -errno : waitpid(pid, &status, 0) < 0 ? -errno : told->fd;
	munmap(told, sizeof *told);
	return fd;
}

int op_clone_below(struct executor *x, const struct step *s)
{
	const char *path = s->v[CLONE_BELOW_PATH].text.at, *below = s->v[CLONE_BELOW_BELOW].text.at;
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (s->v[CLONE_BELOW_RECURSIVE].number ? AT_RECURSIVE : 0);
	int top = reg(x, &s->v[CLONE_BELOW_DIR]), own = -1, r = 0, fd = -1;
	if (top < 0)
		top = own = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int place = top < 0 ? -1 : sys_openat2(top, below, &how);
	if (place < 0 || (fd = sys_open_tree(place, "", flags)) < 0)
		r = -errno;
	if (place >= 0 && r == -EINVAL && own < 0)
		r = fd = clone_detached(top, place, flags);
	if (place >= 0)
		close(place);
	if (own >= 0)
		close(own);
	if (r < 0)
		return fail(x, -r, "%s", below);
	set_reg(x, &s->v[CLONE_BELOW_FD], fd);
	return 0;
}
