/* What the operations of a layer session share: layer.c (session, paths), layer_dirs.c, layer_ops.c. */
#ifndef LAYER_H
#define LAYER_H
#include <limits.h>
#include <sys/stat.h>
#include "executor.h"

#define PARENTS 16
#define PERMISSIONS 07777u

/* A directory that entries were made in lately. Archives go directory by directory, so few suffice. */
struct parent {
	int root, fd; /* fd -1: unused */
	uint32_t length; /* FORGOTTEN: no path leads here any more */
	char path[PATH_MAX];
};

struct layer {
	uint32_t options;
	struct parent parents[PARENTS];
	unsigned oldest, unseen; /* `unseen`: directories that may still be made */
	/* file data, as the controller puts it there; descriptor 0 */
	const char *spool;
	uint64_t spool_bytes;
	/* the file that layer-append goes on with; -1 for none */
	int file;
	uint64_t size, end; /* wanted length; end of the data written so far */
	struct timespec times[2];
	char path[256]; /* for reports */
};

enum { LAYER_UNPRIVILEGED = 1, LAYER_USER_XATTR = 2, LAYER_KEEP_KIND = 4 };

/* --- layer.c --- */
/*
 * Opens the directory that holds the last component of `path`, making what is missing, and points
 * `name` at that component. The descriptor belongs to the session. -errno on failure.
 */
int layer_parent(struct executor *x, int root, const struct bytes *path, const char **name);
/* Something that paths led through goes away: forgets all paths. `in_use` stays open. */
void layer_forget(struct layer *l, int in_use);
/* Removes whatever is at `name`, so that something else can stand there. 0 or -errno. */
int layer_make_way(struct layer *l, int parent, const char *name);

/* --- for the operations --- */
static inline int layer_root_of(const struct executor *x, const struct step *s)
{
	/* the register of the root is operand 0 of every operation that has one */
	return reg(x, &s->v[0]);
}

/* A refusal that a session of an unprivileged user passes over. */
static inline bool layer_pass_over(const struct layer *l, int error)
{
	return (l->options & LAYER_UNPRIVILEGED) && (error == EPERM || error == EINVAL || error == EACCES);
}

static inline void layer_set_times(struct timespec times[2], uint64_t seconds, uint64_t nanoseconds)
{
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = (time_t)(int64_t)seconds, .tv_nsec = (long)nanoseconds};
	/* a file system clamps what it cannot keep; the kernel refuses only nanoseconds out of range */
	if (nanoseconds >= 1000000000)
		times[1].tv_nsec = 0;
}
#endif
