/* Removal of trees that somebody else filled: any depth, bounded descriptors, no symlink crossed. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "layer.h"

#define OPEN_LEVELS 64

struct removal {
	int top;
	unsigned moved; /* numbers directories that were moved up */
	bool again; /* something was moved up and is still to be removed */
};

static int empty_directory(struct removal *r, int fd, int level);

static int remove_one(struct removal *r, int dir, const char *name, int level)
{
	char aside[32];
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	if (level >= OPEN_LEVELS) {
		/* too deep for one descriptor a level: continue from the top */
		do
			snprintf(aside, sizeof aside, ".removed-%u", r->moved++);
		while (faccessat(r->top, aside, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
		r->again = true;
		return renameat(dir, name, r->top, aside) < 0 ? -errno : 0;
	}
	int below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (below < 0)
		return -errno;
	int error = empty_directory(r, below, level + 1);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && error == 0)
		error = -errno;
	return error;
}

/* Takes over `fd`. */
static int empty_directory(struct removal *r, int fd, int level)
{
	DIR *list = fdopendir(fd);
	struct dirent *entry;
	int error = 0;
	if (!list) {
		error = -errno;
		close(fd);
		return error;
	}
	while ((entry = readdir(list)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
			int one = remove_one(r, dirfd(list), entry->d_name, level);
			error = error ? error : one;
		}
	closedir(list);
	return error;
}

int remove_tree(int dir, const char *name)
{
	struct removal r = {.top = -1};
	int error = 0;
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	r.top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (r.top < 0)
		return errno == ENOENT ? 0 : -errno;
	do {
		r.again = false;
		int fd = openat(r.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		error = fd < 0 ? -errno : empty_directory(&r, fd, 0);
	} while (r.again && error == 0);
	close(r.top);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT && error == 0)
		error = -errno;
	return error;
}

int op_layer_remove(struct executor *x, const struct step *s)
{
	const char *path = s->v[LAYER_REMOVE_DIR].text.at, *name = s->v[LAYER_REMOVE_NAME].text.at;
	if (strchr(name, '/') || !*name || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
		return fail(x, EINVAL, "%s", name);
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : fail(x, errno, "%s", path);
	int r = remove_tree(dir, name);
	close(dir);
	return r < 0 ? fail(x, -r, "%s/%s", path, name) : 0;
}

#define SETTLE_LIMIT 200

int op_layer_settle(struct executor *x, const struct step *s)
{
	const char *path = s->v[LAYER_SETTLE_DIR].text.at, *mark = s->v[LAYER_SETTLE_MARK].text.at;
	struct list names = s->v[LAYER_SETTLE_NAMES].list;
	int found[SETTLE_LIMIT];
	size_t count = 0;
	if (names.count > SETTLE_LIMIT || strchr(mark, '/'))
		return fail(x, EINVAL, "%s", mark);
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return fail(x, errno, "%s", path);
	/* opened first: one that is made anew meanwhile under the same name is not on the disk */
	while (names.count > 0) {
		int fd = openat(dir, next_text(&names).at, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			found[count++] = fd;
	}
	int error = syncfs(dir) < 0 ? errno : 0;
	while (count > 0) {
		int fd = found[--count];
		int file = error ? -1 : openat(fd, mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (file >= 0)
			close(file);
		else if (!error && errno != ENOENT)
			error = errno;
		close(fd);
	}
	close(dir);
	return error ? fail(x, error, "%s", path) : 0;
}
