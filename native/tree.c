/* Removal of trees that somebody else filled: any depth, bounded descriptors, no symlink crossed. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "executor.h"

#define OPEN_LEVELS 64
#define LATE_PASSES 8

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
	int below = open_directory(dir, name);
	if (below < 0)
		return below;
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
		if (!is_dots(entry->d_name)) {
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
	r.top = open_directory(dir, name);
	if (r.top < 0)
		return r.top == -ENOENT ? 0 : r.top;
	/* a settling layer gets its mark while it is removed: what came meanwhile goes with the next pass */
	for (int late = 0; late < LATE_PASSES; late++) {
		do {
			r.again = false;
			int fd = openat(r.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			error = fd < 0 ? -errno : empty_directory(&r, fd, 0);
		} while (r.again && error == 0);
		if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT && error == 0)
			error = -errno;
		if (error != -ENOTEMPTY && error != -EEXIST)
			break;
	}
	close(r.top);
	return error;
}

static int remove_named(struct executor *x, const char *path, const char *name)
{
	if (strchr(name, '/') || !*name || is_dots(name))
		return fail(x, EINVAL, "%s", name);
	int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : fail(x, errno, "%s", path);
	int r = remove_tree(dir, name);
	close(dir);
	return r < 0 ? fail(x, -r, "%s/%s", path, name) : 0;
}

int op_remove_tree(struct executor *x, const struct step *s)
{
	return remove_named(x, s->v[REMOVE_TREE_DIR].text.at, s->v[REMOVE_TREE_NAME].text.at);
}

int op_remove_when_told(struct executor *x, const struct step *s)
{
	x->left = *s;
	return 0;
}

void remove_left(struct executor *x)
{
	const union operand *v = x->left.v;
	if (x->left.operation && !x->disowned &&
	    remove_named(x, v[REMOVE_WHEN_TOLD_DIR].text.at, v[REMOVE_WHEN_TOLD_NAME].text.at) < 0)
		dprintf(2, "gantry-executor: remove %s: %s\n", x->failure.detail, errno_words(x->failure.error));
}
