/* What is made inside the root before pivot: devices, links, and the content of a tmpfs. */
#include <dirent.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "executor.h"

int op_make_device(struct executor *x, const struct step *s)
{
	const char *path = s->v[MAKE_DEVICE_PATH].text.at;
	mode_t type = (mode_t)s->v[MAKE_DEVICE_TYPE].number, mode = (mode_t)s->v[MAKE_DEVICE_MODE].number;
	dev_t device = makedev((unsigned)s->v[MAKE_DEVICE_MAJOR].number, (unsigned)s->v[MAKE_DEVICE_MINOR].number);
	struct in_root at;
	struct stat st;
	int r = parent_in_root(reg(x, &s->v[MAKE_DEVICE_ROOT]), path, &at);
	if (r < 0)
		return fail(x, -r, "%s", path);
	if (type != S_IFCHR && type != S_IFBLK && type != S_IFIFO)
		r = -EINVAL;
	else if (mknodat(at.parent, at.name, type | mode, type == S_IFIFO ? 0 : device) < 0)
		r = -errno;
	if (r == -EEXIST && fstatat(at.parent, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == type &&
	    (type == S_IFIFO || st.st_rdev == device))
		r = 0;
	if (r == 0 && fchownat(at.parent, at.name, (uid_t)s->v[MAKE_DEVICE_UID].number, (gid_t)s->v[MAKE_DEVICE_GID].number,
	                       AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	close(at.parent);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

int op_make_symlink_in_root(struct executor *x, const struct step *s)
{
	const char *path = s->v[MAKE_SYMLINK_IN_ROOT_PATH].text.at, *target = s->v[MAKE_SYMLINK_IN_ROOT_TARGET].text.at;
	char now[4096];
	struct in_root at;
	int r = parent_in_root(reg(x, &s->v[MAKE_SYMLINK_IN_ROOT_ROOT]), path, &at);
	if (r < 0)
		return fail(x, -r, "%s", path);
	if (symlinkat(target, at.parent, at.name) < 0)
		r = -errno;
	if (r == -EEXIST) {
		ssize_t n = readlinkat(at.parent, at.name, now, sizeof now - 1);
		if (n >= 0 && (size_t)n == strlen(target) && memcmp(now, target, (size_t)n) == 0)
			r = 0;
	}
	close(at.parent);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

/* --- copy-up --- */

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = in < 0 || out < 0 ? -errno : 0;
	for (off_t left = st->st_size; r == 0 && left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);
		if (n <= 0)
			r = n < 0 ? -errno : 0;
		left = n <= 0 ? 0 : left - n;
	}
	if (r == 0 && (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0))
		r = -errno;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}

static int copy_directory(int from, int to, int depth);

static int copy_entry(int from, int to, const char *name, int depth)
{
	struct stat st;
	char target[4096];
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st);
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(from, name, target, sizeof target - 1);
		target[n > 0 ? n : 0] = 0;
		return n < 0 || symlinkat(target, to, name) < 0 ? -errno : 0;
	}
	if (!S_ISDIR(st.st_mode))
		return mknodat(to, name, st.st_mode, st.st_rdev) < 0 && errno != EPERM ? -errno : 0;
	int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), out = -1, r = 0;
	if (in < 0 || mkdirat(to, name, 0700) < 0 || (out = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		r = -errno;
	if (r == 0)
		r = copy_directory(in, out, depth + 1);
	if (r == 0 && (fchown(out, st.st_uid, st.st_gid) < 0 || fchmod(out, st.st_mode & 07777) < 0))
		r = -errno;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return r;
}

static int copy_directory(int from, int to, int depth)
{
	struct dirent *entry;
	DIR *list = depth < 64 ? fdopendir(dup(from)) : NULL;
	int r = list ? 0 : depth < 64 ? -errno : -ELOOP;
	while (r == 0 && (entry = readdir(list)))
		if (!is_dots(entry->d_name))
			r = copy_entry(from, to, entry->d_name, depth);
	if (list)
		closedir(list);
	return r;
}

int op_copy_up(struct executor *x, const struct step *s)
{
	const char *path = s->v[COPY_UP_PATH].text.at;
	int from = open_in_root(reg(x, &s->v[COPY_UP_ROOT]), path, O_RDONLY | O_DIRECTORY, 0);
	if (from == -ENOENT)
		return 0;
	int to = from < 0 ? from : openat(reg(x, &s->v[COPY_UP_MOUNT]), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = from < 0 ? from : to < 0 ? -errno : copy_directory(from, to, 0);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

int op_take_mode(struct executor *x, const struct step *s)
{
	const char *path = s->v[TAKE_MODE_PATH].text.at;
	struct stat st;
	int covered = open_in_root(reg(x, &s->v[TAKE_MODE_ROOT]), path, O_PATH | O_DIRECTORY, 0), own = -1, r = 0;
	if (covered == -ENOENT || covered == -ENOTDIR)
		return 0;
	if (covered < 0)
		return fail(x, -covered, "%s", path);
	/* a mount comes as an O_PATH descriptor, which cannot be changed itself */
	own = openat(reg(x, &s->v[TAKE_MODE_MOUNT]), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own < 0 || fstat(covered, &st) < 0 || fchmod(own, st.st_mode & 07777) < 0)
		r = fail(x, errno, "%s", path);
	if (own >= 0)
		close(own);
	close(covered);
	return r;
}
