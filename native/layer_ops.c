/*
 * The operations of a layer that make files, links and nodes. A small file costs openat, pwrite,
 * fchown, futimens, close, and fchmod where a chown would have taken special bits away.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "layer.h"

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
	int parent = layer_parent(x, layer_root_of(x, s), path, &name);
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
	layer_set_times(l->times, s->v[LAYER_FILE_SECONDS].number, s->v[LAYER_FILE_NANOSECONDS].number);
	if (fchown(fd, uid, gid) < 0 && !layer_pass_over(l, errno))
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
	int root = layer_root_of(x, s), parent = layer_parent(x, root, path, &name), r = 0;
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
	int parent = layer_parent(x, layer_root_of(x, s), path, &name), r = 0;
	if (parent < 0)
		return parent;
	if (symlinkat(target, parent, name) < 0)
		r = -errno;
	if (r == -EEXIST && (r = layer_make_way(l, parent, name)) == 0 && symlinkat(target, parent, name) < 0)
		r = -errno;
	layer_set_times(times, s->v[LAYER_SYMLINK_SECONDS].number, s->v[LAYER_SYMLINK_NANOSECONDS].number);
	if (r == 0 && fchownat(parent, name, (uid_t)s->v[LAYER_SYMLINK_UID].number, (gid_t)s->v[LAYER_SYMLINK_GID].number,
	                       AT_SYMLINK_NOFOLLOW) < 0 && !layer_pass_over(l, errno))
		r = -errno;
	if (r == 0 && utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

/* fchmodat follows symlinks: somebody may have put one in the place of what was made. */
static int set_mode(int parent, const char *name, mode_t mode)
{
	char path[64];
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), r = 0;
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (r == 0 && !S_ISLNK(st.st_mode) && chmod(path, mode) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
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
	int parent = layer_parent(x, layer_root_of(x, s), path, &name), r = 0;
	if (parent < 0)
		return parent;
	if (type >= countof(types) || !types[type])
		return fail(x, EINVAL, "%.200s: no such type of node", path->at);
	if (mknodat(parent, name, types[type] | (mode & 0777), device) < 0)
		r = -errno;
	if (r == -EEXIST && (r = layer_make_way(l, parent, name)) == 0 &&
	    mknodat(parent, name, types[type] | (mode & 0777), device) < 0)
		r = -errno;
	if (r < 0 && type != 1 && layer_pass_over(l, -r))
		return 0;
	layer_set_times(times, s->v[LAYER_NODE_SECONDS].number, s->v[LAYER_NODE_NANOSECONDS].number);
	if (r == 0 && fchownat(parent, name, (uid_t)s->v[LAYER_NODE_UID].number, (gid_t)s->v[LAYER_NODE_GID].number,
	                       AT_SYMLINK_NOFOLLOW) < 0 && !layer_pass_over(l, errno))
		r = -errno;
	if (r == 0 && (mode & ~0777u))
		r = set_mode(parent, name, mode);
	if (r == 0 && utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}

int op_layer_xattr(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[LAYER_XATTR_PATH].text, *value = &s->v[LAYER_XATTR_VALUE].text;
	const char *name = ".", *attribute = s->v[LAYER_XATTR_NAME].text.at;
	int root = layer_root_of(x, s), parent = path->length ? layer_parent(x, root, path, &name) : root;
	if (parent < 0)
		return parent;
	/* there is no setxattrat before 6.13: stand in the directory, so that no path is walked */
	if (fchdir(parent) < 0)
		return fail(x, errno, "%.200s", path->at);
	int r = lsetxattr(name, attribute, value->at, value->length, 0) < 0 ? -errno : 0;
	if (chdir("/") < 0 && r == 0)
		r = -errno;
	if (r == -ENOTSUP || (r < 0 && layer_pass_over(x->layer, -r)))
		return 0;
	return r < 0 ? fail(x, -r, "%.150s: %.100s", path->at, attribute) : 0;
}
