/*
 * Copies what is in a directory, with owners, modes, times, extended attributes, holes and hard links. Works on
 * descriptors alone and follows no symlink, so a tree that somebody changes meanwhile leads nowhere else.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "executor.h"

/* Two descriptors for each. */
#define LEVELS 256

struct copying {
	int links; /* directory of the first copies of files with several names, by inode; or -1 */
	dev_t device; /* that these are of */
};

static int copy_data(int in, int out, off_t size)
{
	off_t at = 0;
	while (at < size) {
		off_t data = lseek(in, at, SEEK_DATA), hole;
		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			data = at; /* a file system that cannot tell has no holes */
		hole = lseek(in, data, SEEK_HOLE);
		if (hole < 0)
			hole = size;
		if (lseek(in, data, SEEK_SET) < 0 || lseek(out, data, SEEK_SET) < 0)
			return -errno;
		for (at = data; at < hole;) {
			ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)(hole - at), 0);
			if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
				n = sendfile(out, in, NULL, (size_t)(hole - at));
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return -errno;
			if (n == 0)
				return ftruncate(out, size) < 0 ? -errno : 0; /* it has become shorter */
			at += n;
		}
	}
	return ftruncate(out, size) < 0 ? -errno : 0;
}

/* Paths by descriptor reach symlinks and devices too, which cannot be opened. */
static int copy_xattrs(int from, int to)
{
	char names[4096], source[32], target[32];
	static char value[65536];
	snprintf(source, sizeof source, "/proc/self/fd/%d", from);
	snprintf(target, sizeof target, "/proc/self/fd/%d", to);
	ssize_t length = listxattr(source, names, sizeof names);
	if (length < 0)
		return errno == EOPNOTSUPP || errno == ENOENT ? 0 : -errno;
	for (char *name = names; name < names + length; name += strlen(name) + 1) {
		ssize_t bytes = getxattr(source, name, value, sizeof value);
		if (bytes < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
			continue;
		/* what the file system does not know, and labels that the kernel hands out itself, are passed over */
		if (bytes < 0 || (setxattr(target, name, value, (size_t)bytes, 0) < 0 && errno != EOPNOTSUPP &&
		                  !(errno == EPERM && strcmp(name, "security.selinux") == 0)))
			return -errno;
	}
	return 0;
}

/* Owner first: giving a file away takes its set-id bits and capabilities. */
static int copy_attributes(int from, int to, const struct stat *st)
{
	char target[32];
	struct timespec times[2] = {st->st_atim, st->st_mtim};
	snprintf(target, sizeof target, "/proc/self/fd/%d", to);
	if (fchownat(to, "", st->st_uid, st->st_gid, AT_EMPTY_PATH) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode) && chmod(target, st->st_mode & 07777) < 0)
		return -errno;
	int r = copy_xattrs(from, to);
	if (r < 0)
		return r;
	return utimensat(to, "", times, AT_EMPTY_PATH) < 0 && errno != ENOENT ? -errno : 0;
}

static int copy_entries(struct copying *c, int from, int to, int depth);

/* A further name of a file that is there already; 1 if it is not. */
static int link_again(const struct copying *c, const struct stat *st, int to, const char *name, char key[32])
{
	snprintf(key, 32, "%llu", (unsigned long long)st->st_ino);
	if (c->links < 0 || st->st_nlink < 2 || S_ISDIR(st->st_mode) || st->st_dev != c->device)
		return 1;
	if (linkat(c->links, key, to, name, 0) == 0)
		return 0;
	return errno == ENOENT ? 1 : -errno;
}

static int make_entry(struct copying *c, int in, int to, const char *name, const struct stat *st, int depth)
{
	char target[4096];
	int r = 0, made = -1;
	if (S_ISREG(st->st_mode)) {
		char path[32];
		snprintf(path, sizeof path, "/proc/self/fd/%d", in);
		int source = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		made = source < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		r = made < 0 ? -errno : copy_data(source, made, st->st_size);
		if (source >= 0)
			close(source);
	} else if (S_ISDIR(st->st_mode)) {
		int source = openat(in, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (source < 0 || mkdirat(to, name, 0700) < 0 ||
		    (made = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
			r = -errno;
		if (r == 0)
			r = copy_entries(c, source, made, depth + 1);
		else if (source >= 0)
			close(source);
	} else {
		ssize_t n = S_ISLNK(st->st_mode) ? readlinkat(in, "", target, sizeof target - 1) : 0;
		target[n > 0 ? n : 0] = 0;
		if (n < 0 || (S_ISLNK(st->st_mode) ? symlinkat(target, to, name) : mknodat(to, name, st->st_mode & S_IFMT, st->st_rdev)) < 0)
			r = -errno;
		if (r == 0 && (made = openat(to, name, O_PATH | O_CLOEXEC | O_NOFOLLOW)) < 0)
			r = -errno;
	}
	if (r == 0)
		r = copy_attributes(in, made, st);
	if (made >= 0)
		close(made);
	return r;
}

static int copy_entry(struct copying *c, int from, int to, const char *name, int depth)
{
	struct stat st;
	char key[32];
	int in = openat(from, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0)
		return errno == ENOENT ? 0 : -errno;
	int r = fstat(in, &st) < 0 ? -errno : link_again(c, &st, to, name, key);
	if (r == 1) {
		r = make_entry(c, in, to, name, &st, depth);
		if (r == 0 && c->links >= 0 && st.st_nlink > 1 && !S_ISDIR(st.st_mode) && st.st_dev == c->device &&
		    linkat(to, name, c->links, key, 0) < 0)
			r = -errno;
	}
	close(in);
	return r;
}

/* Takes over `from`. */
static int copy_entries(struct copying *c, int from, int to, int depth)
{
	struct dirent *entry;
	DIR *list = depth < LEVELS ? fdopendir(from) : NULL;
	int r = list ? 0 : depth < LEVELS ? -errno : -ELOOP;
	if (!list)
		close(from);
	while (r == 0 && (errno = 0, entry = readdir(list)))
		if (!is_dots(entry->d_name))
			r = copy_entry(c, dirfd(list), to, entry->d_name, depth);
	if (list) {
		if (r == 0 && errno)
			r = -errno;
		closedir(list);
	}
	return r;
}

int copy_tree(int from, int to, int links)
{
	struct stat st;
	int list = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (list < 0 || fstat(from, &st) < 0) {
		int error = errno;
		if (list >= 0)
			close(list);
		return -error;
	}
	struct copying c = {.links = links, .device = st.st_dev};
	int r = copy_entries(&c, list, to, 0);
	return r < 0 ? r : copy_attributes(from, to, &st);
}

int copy_directory_attributes(int from, int to, const struct stat *st)
{
	return copy_attributes(from, to, st);
}
