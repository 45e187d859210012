/*
 * The operations that unpack a layer. A small file costs openat, write, fchown, futimens, close, and
 * fchmod where a chown would have taken special bits away.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "layer.h"

#define PERMISSIONS 07777u

static int root_of(const struct executor *x, const struct step *s)
{
	/* the register of the root is operand 0 of every operation that has one */
	return reg(x, &s->v[0]);
}

/* A refusal that a session of an unprivileged user passes over. */
static bool pass_over(const struct layer *l, int error)
{
	return (l->options & LAYER_UNPRIVILEGED) && (error == EPERM || error == EINVAL || error == EACCES);
}

static void set_times(struct timespec times[2], uint64_t seconds, uint64_t nanoseconds)
{
	times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	times[1] = (struct timespec){.tv_sec = (time_t)(int64_t)seconds, .tv_nsec = (long)nanoseconds};
	/* a file system clamps what it cannot keep; the kernel refuses only nanoseconds out of range */
	if (nanoseconds >= 1000000000)
		times[1].tv_nsec = 0;
}

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

/* --- directories --- */

static int set_opaque(const struct layer *l, int fd)
{
	const char *name = l->options & LAYER_USER_XATTR ? "user.overlay.opaque" : "trusted.overlay.opaque";
	return fsetxattr(fd, name, "y", 1, 0) < 0 ? -errno : 0;
}

static int open_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
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
	int parent = layer_parent(x, root_of(x, s), path, &name), r = 0;
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) == 0)
		return 0;
	if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(x, errno, "%.200s", path->at);
	if (S_ISDIR(st.st_mode))
		return 0;
	r = layer_make_way(x->layer, parent, name);
	if (r == 0 && mkdirat(parent, name, 0755) < 0)
		r = -errno;
	if (r == 0 && is_whiteout(&st))
		r = mark_opaque(x->layer, parent, name);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

static int set_attributes(const struct layer *l, int fd, mode_t mode, uid_t uid, gid_t gid, const struct timespec times[2])
{
	if (fchown(fd, uid, gid) < 0 && !pass_over(l, errno))
		return -errno;
	if (fchmod(fd, mode & PERMISSIONS) < 0)
		return -errno;
	return futimens(fd, times) < 0 ? -errno : 0;
}

int op_layer_attributes(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_ATTRIBUTES_PATH].text;
	struct timespec times[2];
	int fd = open_layer_directory(root_of(x, s), path);
	if (fd == -ENOTDIR || fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fail(x, -fd, "%.200s", path->at);
	set_times(times, s->v[LAYER_ATTRIBUTES_SECONDS].number, s->v[LAYER_ATTRIBUTES_NANOSECONDS].number);
	int r = set_attributes(x->layer, fd, (mode_t)s->v[LAYER_ATTRIBUTES_MODE].number,
	                       (uid_t)s->v[LAYER_ATTRIBUTES_UID].number, (gid_t)s->v[LAYER_ATTRIBUTES_GID].number, times);
	close(fd);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

int op_layer_opaque(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_OPAQUE_PATH].text;
	/* a symlink of the layer is followed, as everywhere above an entry */
	int fd = open_in_root(root_of(x, s), path->at, O_RDONLY | O_DIRECTORY, 0);
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
	int r = 0, parent = layer_parent(x, root_of(x, s), path, &name);
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
		if (bytes >= 0 && fsetxattr(to, name, value, (size_t)bytes, 0) < 0 && errno != ENOTSUP && !pass_over(l, errno))
			return -errno;
	}
	return length < 0 && errno != ENOTSUP ? -errno : 0;
}

int op_layer_inherit(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_INHERIT_PATH].text;
	int to = open_layer_directory(root_of(x, s), path);
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

/* --- files --- */

int op_layer_spool(struct executor *x, const struct step *s)
{
	struct layer *l = x->layer;
	uint64_t bytes = s->v[LAYER_SPOOL_BYTES].number;
	struct stat st;
	if (l->spool || fstat(0, &st) < 0 || !S_ISREG(st.st_mode) || bytes > (uint64_t)st.st_size || bytes == 0)
		return fail(x, EINVAL, "spool");
	void *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, 0, 0);
	if (at == MAP_FAILED)
		return fail(x, errno, "spool");
	l->spool = at;
	l->spool_bytes = bytes;
	return 0;
}

/* Writes a piece of the spool into the open file. */
static int write_piece(const struct layer *l, uint64_t from, uint64_t length, uint64_t offset)
{
	if (from > l->spool_bytes || length > l->spool_bytes - from)
		return -EINVAL;
	for (uint64_t done = 0; done < length;) {
		ssize_t n = pwrite(l->file, l->spool + from + done, length - done, (off_t)(offset + done));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (uint64_t)n;
	}
	return 0;
}

/* Length, time, close: what is left when all data is there. Writing would have changed the time. */
static int finish_file(struct layer *l)
{
	int r = 0;
	if (l->end != l->size && ftruncate(l->file, (off_t)l->size) < 0)
		r = -errno;
	if (r == 0 && futimens(l->file, l->times) < 0)
		r = -errno;
	/* quota and network file systems report a full disk here */
	if (close(l->file) < 0 && r == 0)
		r = -errno;
	l->file = -1;
	return r;
}

int op_layer_file(struct executor *x, const struct step *s)
{
	struct layer *l = x->layer;
	const struct bytes *path = &s->v[LAYER_FILE_PATH].text;
	uint64_t length = s->v[LAYER_FILE_LENGTH].number;
	mode_t mode = (mode_t)s->v[LAYER_FILE_MODE].number & PERMISSIONS;
	uid_t uid = (uid_t)s->v[LAYER_FILE_UID].number;
	gid_t gid = (gid_t)s->v[LAYER_FILE_GID].number;
	const char *name;
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, r = 0;
	if (l->file >= 0)
		return fail(x, EINVAL, "%s is not at its end", l->path);
	int parent = layer_parent(x, root_of(x, s), path, &name);
	if (parent < 0)
		return parent;
	int fd = openat(parent, name, flags, mode & 0777);
	if (fd < 0 && errno == EEXIST) {
		r = layer_make_way(l, parent, name);
		fd = r < 0 ? -1 : openat(parent, name, flags, mode & 0777);
	}
	if (fd < 0)
		return fail(x, r < 0 ? -r : errno, "%.200s", path->at);
	l->file = fd;
	l->size = s->v[LAYER_FILE_SIZE].number;
	l->end = length;
	set_times(l->times, s->v[LAYER_FILE_SECONDS].number, s->v[LAYER_FILE_NANOSECONDS].number);
	if (fchown(fd, uid, gid) < 0 && !pass_over(l, errno))
		r = -errno;
	if (r == 0)
		r = length > l->size ? -EINVAL : write_piece(l, s->v[LAYER_FILE_FROM].number, length, 0);
	/* both chown and write take setuid and setgid away */
	if (r == 0 && (mode & ~0777u) && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && s->v[LAYER_FILE_MORE].number)
		snprintf(l->path, sizeof l->path, "%s", path->at);
	else if (r == 0)
		r = finish_file(l);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

int op_layer_append(struct executor *x, const struct step *s)
{
	struct layer *l = x->layer;
	uint64_t length = s->v[LAYER_APPEND_LENGTH].number;
	uint64_t offset = s->v[LAYER_APPEND_OFFSET].number;
	struct stat st;
	if (l->file < 0)
		return fail(x, EINVAL, "no file to append to");
	if (offset < l->end || offset > l->size || length > l->size - offset)
		return fail(x, EINVAL, "%s: data outside of the file", l->path);
	bool special = l->end == 0 && fstat(l->file, &st) == 0 && (st.st_mode & ~0777u & PERMISSIONS);
	int r = write_piece(l, s->v[LAYER_APPEND_FROM].number, length, offset);
	if (r == 0 && special && fchmod(l->file, st.st_mode & PERMISSIONS) < 0)
		r = -errno;
	if (length)
		l->end = offset + length;
	if (r == 0 && !s->v[LAYER_APPEND_MORE].number)
		r = finish_file(l);
	return r < 0 ? fail(x, -r, "%s", l->path) : 0;
}

int op_layer_link(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_LINK_PATH].text, *target = &s->v[LAYER_LINK_TARGET].text;
	const char *name, *target_name;
	struct stat there, wanted;
	int root = root_of(x, s), parent = layer_parent(x, root, path, &name), r = 0;
	if (parent < 0)
		return parent;
	/* a lookup of its own: the target's directory must not be made, and must not push the parent out */
	char *slash = memrchr(target->at, '/', target->length);
	target_name = slash ? slash + 1 : target->at;
	char above[PATH_MAX];
	if (target->length >= PATH_MAX)
		return fail(x, ENAMETOOLONG, "%.200s", target->at);
	snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - target->at) : 0, target->at);
	int from = open_in_root(root, above, O_PATH | O_DIRECTORY, 0);
	if (from < 0)
		return fail(x, -from, "%.120s to %.120s", path->at, target->at);
	if (linkat(from, target_name, parent, name, 0) < 0)
		r = -errno;
	if (r == -EEXIST && fstatat(from, target_name, &wanted, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
		/* a link to itself stays; anything else that is in the way goes */
		if (there.st_dev == wanted.st_dev && there.st_ino == wanted.st_ino)
			r = 0;
		else
			r = layer_make_way(x->layer, parent, name);
		if (r == 0 && linkat(from, target_name, parent, name, 0) < 0 && errno != EEXIST)
			r = -errno;
	}
	close(from);
	return r < 0 ? fail(x, -r, "%.120s to %.120s", path->at, target->at) : 0;
}

int op_layer_symlink(struct executor *x, const struct step *s)
{
	struct layer *l = x->layer;
	const struct bytes *path = &s->v[LAYER_SYMLINK_PATH].text;
	const char *target = s->v[LAYER_SYMLINK_TARGET].text.at, *name;
	struct timespec times[2];
	int parent = layer_parent(x, root_of(x, s), path, &name), r = 0;
	if (parent < 0)
		return parent;
	if (symlinkat(target, parent, name) < 0)
		r = -errno;
	if (r == -EEXIST && (r = layer_make_way(l, parent, name)) == 0 && symlinkat(target, parent, name) < 0)
		r = -errno;
	set_times(times, s->v[LAYER_SYMLINK_SECONDS].number, s->v[LAYER_SYMLINK_NANOSECONDS].number);
	if (r == 0 && fchownat(parent, name, (uid_t)s->v[LAYER_SYMLINK_UID].number, (gid_t)s->v[LAYER_SYMLINK_GID].number,
	                       AT_SYMLINK_NOFOLLOW) < 0 && !pass_over(l, errno))
		r = -errno;
	if (r == 0 && utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

int op_layer_node(struct executor *x, const struct step *s)
{
	static const mode_t types[] = {[1] = S_IFIFO, [2] = S_IFCHR, [6] = S_IFBLK};
	struct layer *l = x->layer;
	const struct bytes *path = &s->v[LAYER_NODE_PATH].text;
	uint64_t type = s->v[LAYER_NODE_TYPE].number;
	mode_t mode = (mode_t)s->v[LAYER_NODE_MODE].number & PERMISSIONS;
	dev_t device = makedev((unsigned)s->v[LAYER_NODE_MAJOR].number, (unsigned)s->v[LAYER_NODE_MINOR].number);
	const char *name;
	struct timespec times[2];
	int parent = layer_parent(x, root_of(x, s), path, &name), r = 0;
	if (parent < 0)
		return parent;
	if (type >= countof(types) || !types[type])
		return fail(x, EINVAL, "%.200s: no such type of node", path->at);
	if (mknodat(parent, name, types[type] | (mode & 0777), device) < 0)
		r = -errno;
	if (r == -EEXIST && (r = layer_make_way(l, parent, name)) == 0 &&
	    mknodat(parent, name, types[type] | (mode & 0777), device) < 0)
		r = -errno;
	if (r < 0 && type != 1 && pass_over(l, -r))
		return 0;
	set_times(times, s->v[LAYER_NODE_SECONDS].number, s->v[LAYER_NODE_NANOSECONDS].number);
	if (r == 0 && fchownat(parent, name, (uid_t)s->v[LAYER_NODE_UID].number, (gid_t)s->v[LAYER_NODE_GID].number,
	                       AT_SYMLINK_NOFOLLOW) < 0 && !pass_over(l, errno))
		r = -errno;
	/* fchmodat follows symlinks, but this is the node that was made above */
	if (r == 0 && (mode & ~0777u) && fchmodat(parent, name, mode, 0) < 0)
		r = -errno;
	if (r == 0 && utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

int op_layer_xattr(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_XATTR_PATH].text, *value = &s->v[LAYER_XATTR_VALUE].text;
	const char *name = ".", *attribute = s->v[LAYER_XATTR_NAME].text.at;
	int root = root_of(x, s), parent = path->length ? layer_parent(x, root, path, &name) : root;
	if (parent < 0)
		return parent;
	/* there is no setxattrat before 6.13: stand in the directory, so that no path is walked */
	if (fchdir(parent) < 0)
		return fail(x, errno, "%.200s", path->at);
	int r = lsetxattr(name, attribute, value->at, value->length, 0) < 0 ? -errno : 0;
	if (chdir("/") < 0 && r == 0)
		r = -errno;
	if (r == -ENOTSUP || (r < 0 && pass_over(x->layer, -r)))
		return 0;
	return r < 0 ? fail(x, -r, "%.150s: %.100s", path->at, attribute) : 0;
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
