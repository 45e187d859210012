/*
 * The operations of a layer that make roots and directories, hide what lies below, and settle. Owner,
 * mode and time of directories come last, since making entries changes the time.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "layer.h"

int op_layer_root(struct executor *x, const struct step *s)
{
	const char *path = s->v[LAYER_ROOT_PATH].text.at;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fail(x, errno, "%s", path);
	x->layer->options = (uint32_t)s->v[LAYER_ROOT_OPTIONS].number;
	set_reg(x, &s->v[LAYER_ROOT_ROOT], fd);
	return 0;
}

int op_layer_close(struct executor *x, const struct step *s)
{
	layer_forget(x->layer, -1);
	return op_close(x, s);
}

static int set_opaque(const struct layer *l, int fd)
{
	const char *name = l->options & LAYER_USER_XATTR ? "user.overlay.opaque" : "trusted.overlay.opaque";
	return fsetxattr(fd, name, "y", 1, 0) < 0 ? -errno : 0;
}

/* Opens the directory at a path, "" being the root itself, making nothing; -ENOTDIR or -ENOENT if there is none. */
static int open_layer_directory(int root, const struct bytes *path)
{
	int fd = open_in_root(root, path->at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd == -ELOOP ? -ENOTDIR : fd;
}

static int mark_opaque(const struct layer *l, int parent, const char *name)
{
	int fd = open_directory(parent, name);
	if (fd < 0)
		return fd;
	int r = set_opaque(l, fd);
	close(fd);
	return r;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

int op_layer_directory(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_DIRECTORY_PATH].text;
	const char *name;
	struct stat st;
	int parent = layer_parent(x, layer_root_of(x, s), path, &name), r = 0;
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) == 0)
		return 0;
	if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(x, errno, "%.200s", path->at);
	if (S_ISDIR(st.st_mode))
		return 0;
	if (x->layer->options & LAYER_KEEP_KIND)
		return fail(x, ENOTDIR, "%.200s", path->at);
	r = layer_make_way(x->layer, parent, name);
	if (r == 0 && mkdirat(parent, name, 0755) < 0)
		r = -errno;
	if (r == 0 && is_whiteout(&st))
		r = mark_opaque(x->layer, parent, name);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

static int set_attributes(const struct layer *l, int fd, mode_t mode, uid_t uid, gid_t gid, const struct timespec times[2])
{
	if (fchown(fd, uid, gid) < 0 && !layer_pass_over(l, errno))
		return -errno;
	if (fchmod(fd, mode & PERMISSIONS) < 0)
		return -errno;
	return futimens(fd, times) < 0 ? -errno : 0;
}

int op_layer_attributes(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_ATTRIBUTES_PATH].text;
	struct timespec times[2];
	int fd = open_layer_directory(layer_root_of(x, s), path);
	if (fd == -ENOTDIR || fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fail(x, -fd, "%.200s", path->at);
	layer_set_times(times, s->v[LAYER_ATTRIBUTES_SECONDS].number, s->v[LAYER_ATTRIBUTES_NANOSECONDS].number);
	int r = set_attributes(x->layer, fd, (mode_t)s->v[LAYER_ATTRIBUTES_MODE].number,
	                       (uid_t)s->v[LAYER_ATTRIBUTES_UID].number, (gid_t)s->v[LAYER_ATTRIBUTES_GID].number, times);
	close(fd);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

int op_layer_opaque(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_OPAQUE_PATH].text;
	/* a symlink of the layer is followed, as everywhere above an entry */
	int fd = open_in_root(layer_root_of(x, s), path->at, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fail(x, -fd, "%.200s", path->at);
	int r = set_opaque(x->layer, fd);
	close(fd);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

int op_layer_whiteout(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_WHITEOUT_PATH].text;
	const char *name;
	int r = 0, parent = layer_parent(x, layer_root_of(x, s), path, &name);
	if (parent < 0)
		return parent;
	if (mknodat(parent, name, S_IFCHR, 0) < 0) {
		/* what this layer has there hides a file of the layers below already, but a directory would merge */
		r = errno == EEXIST ? mark_opaque(x->layer, parent, name) : -errno;
		if (r == -ENOTDIR || r == -ELOOP)
			r = 0;
	}
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

/* Copies attributes whose names say that they belong to the file, not to overlay. */
static int copy_xattrs(const struct layer *l, int from, int to)
{
	char names[64 * 1024], value[64 * 1024];
	ssize_t length = flistxattr(from, names, sizeof names);
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
		const char *name = names + at;
		if (strncmp(name, "trusted.overlay.", 16) == 0 || strncmp(name, "user.overlay.", 13) == 0)
			continue;
		ssize_t bytes = fgetxattr(from, name, value, sizeof value);
		if (bytes >= 0 && fsetxattr(to, name, value, (size_t)bytes, 0) < 0 && errno != ENOTSUP && !layer_pass_over(l, errno))
			return -errno;
	}
	return length < 0 && errno != ENOTSUP ? -errno : 0;
}

int op_layer_inherit(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_INHERIT_PATH].text;
	int to = open_layer_directory(layer_root_of(x, s), path);
	if (to == -ENOTDIR || to == -ENOENT)
		return 0;
	if (to < 0)
		return fail(x, -to, "%.200s", path->at);
	struct stat st;
	/* overlay merges only directories that are reached without a symlink */
	int from = open_in_root(reg(x, &s->v[LAYER_INHERIT_FROM]), path->at, O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	int r = from < 0 ? from : fstat(from, &st) < 0 ? -errno : 0;
	if (r == 0)
		r = copy_xattrs(x->layer, from, to);
	if (r == 0) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
		r = set_attributes(x->layer, to, st.st_mode, st.st_uid, st.st_gid, times);
	}
	if (from >= 0)
		close(from);
	close(to);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
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
