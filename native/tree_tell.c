/*
 * The operations of a session that tell what is in a tree: of a container that runs and may change it at any moment, or
 * of the host. Every lookup is one openat2 in the root that crosses no symlink; what is found is looked at by its
 * descriptor alone, and only a regular file is ever opened.
 *
 * What is not there, or is no directory or file any more, is told as an entry with an errno: it is news, no failure.
 */
#include <dirent.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "layer.h"

#define ENTRY_BYTES (256 * 1024)
#define DATA_BYTES (256 * 1024)

struct entry {
	size_t length;
	bool full; /* something did not fit */
	uint8_t at[ENTRY_BYTES];
};

static void put(struct entry *e, const void *data, size_t bytes)
{
	if (bytes > sizeof e->at - e->length) {
		e->full = true;
		return;
	}
	memcpy(e->at + e->length, data, bytes);
	e->length += bytes;
}

static void put_u32(struct entry *e, uint32_t value)
{
	put(e, &value, sizeof value);
}

static void put_u64(struct entry *e, uint64_t value)
{
	put(e, &value, sizeof value);
}

static void put_text(struct entry *e, const char *text, size_t bytes)
{
	put_u32(e, (uint32_t)bytes);
	put(e, text, bytes);
}

/* All but the labels of a host's own policy, and what holds on this machine alone. */
static bool is_told(const char *name)
{
	return strcmp(name, "security.selinux") != 0 && strncmp(name, "security.SMACK64", 16) != 0 &&
	       strcmp(name, "security.evm") != 0;
}

/* Writes the attributes and returns how many they are. `path` is one of /proc/self/fd. */
static uint32_t put_xattrs(struct entry *e, const char *path)
{
	static char names[64 * 1024], value[64 * 1024];
	uint32_t count = 0;
	ssize_t length = listxattr(path, names, sizeof names);
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
		const char *name = names + at;
		ssize_t bytes = is_told(name) ? getxattr(path, name, value, sizeof value) : -1;
		if (bytes < 0)
			continue;
		put_text(e, name, strlen(name));
		put_text(e, value, (size_t)bytes);
		count++;
	}
	return count;
}

/*
 * u32 errno, mode, uid, gid, links, major, minor, mounted; u64 device, inode, size, seconds; u32 nanoseconds, xattrs;
 * then name, target of a symlink, and name and value of each attribute, all with u32 lengths. -errno of the lookup
 * stands alone with the name.
 */
static void fill(struct entry *e, int fd, int error, const char *name)
{
	struct statx st = {0};
	char path[64], target[PATH_MAX] = "";
	ssize_t linked = 0;
	e->length = 0;
	e->full = false;
	if (!error && sys_statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) < 0)
		error = errno;
	if (!error && S_ISLNK(st.stx_mode) && (linked = readlinkat(fd, "", target, sizeof target)) < 0)
		error = errno;
	put_u32(e, (uint32_t)error);
	put_u32(e, st.stx_mode);
	put_u32(e, st.stx_uid);
	put_u32(e, st.stx_gid);
	put_u32(e, st.stx_nlink);
	put_u32(e, st.stx_rdev_major);
	put_u32(e, st.stx_rdev_minor);
	put_u32(e, st.stx_attributes & STATX_ATTR_MOUNT_ROOT ? 1 : 0);
	put_u64(e, makedev(st.stx_dev_major, st.stx_dev_minor));
	put_u64(e, st.stx_ino);
	put_u64(e, st.stx_size);
	put_u64(e, (uint64_t)st.stx_mtime.tv_sec);
	put_u32(e, st.stx_mtime.tv_nsec);
	size_t counted = e->length;
	put_u32(e, 0);
	put_text(e, name, strlen(name));
	put_text(e, target, error ? 0 : (size_t)linked);
	if (error)
		return;
	/* a link of proc leads to the thing itself, which is neither followed nor opened */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	uint32_t count = put_xattrs(e, path);
	memcpy(e->at + counted, &count, sizeof count);
}

static int tell(struct executor *x, int fd, int error, const char *name)
{
	static struct entry entry;
	fill(&entry, fd, error, name);
	if (entry.full)
		return fail(x, E2BIG, "attributes of %.200s", name);
	int r = send_frame(x->controller, REPLY_ENTRY, entry.at, (uint32_t)entry.length);
	return r < 0 ? fail(x, -r, "tell of %.200s", name) : 0;
}

static int look(const struct executor *x, const union operand *root, const struct bytes *path, uint64_t flags)
{
	return open_in_root(reg(x, root), path->at, flags | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
}

int op_tree_stat(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[TREE_STAT_PATH].text;
	/* the link itself is what is asked for, which RESOLVE_NO_SYMLINKS would refuse: its directory is opened instead */
	char above[PATH_MAX];
	const char *slash = memrchr(path->at, '/', path->length), *name = slash ? slash + 1 : path->at;
	if (path->length >= sizeof above)
		return tell(x, -1, ENAMETOOLONG, "");
	snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path->at) : 0, path->at);
	int dir = open_in_root(reg(x, &s->v[TREE_STAT_ROOT]), above, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	if (dir < 0)
		return tell(x, -1, -dir, name);
	int fd = openat(dir, *name ? name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC), error = fd < 0 ? errno : 0;
	/* "..", which a name of a path that was taken apart never is, would lead out of the root */
	if (strcmp(name, "..") == 0)
		error = EINVAL;
	int r = tell(x, fd, error, name);
	if (fd >= 0)
		close(fd);
	close(dir);
	return r;
}

int op_tree_list(struct executor *x, const struct step *s)
{
	int fd = look(x, &s->v[TREE_LIST_ROOT], &s->v[TREE_LIST_PATH].text, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return tell(x, -1, -fd, "");
	DIR *list = fdopendir(fd);
	struct dirent *entry;
	int r = 0;
	if (!list) {
		r = tell(x, -1, errno, "");
		close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(list))) {
		if (is_dots(entry->d_name))
			continue;
		int one = openat(fd, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		r = tell(x, one, one < 0 ? errno : 0, entry->d_name);
		if (one >= 0)
			close(one);
	}
	if (r == 0 && errno)
		r = fail(x, errno, "%.200s", s->v[TREE_LIST_PATH].text.at);
	closedir(list);
	return r;
}

/* Parts of a file that have data. With too many of them the last one holds the rest of the file. */
#define EXTENTS 4096

struct extent {
	uint64_t offset, bytes;
};

/* One part is all of the file where nobody asked for holes, or the file system does not know them. */
static unsigned find_extents(int file, uint64_t size, bool holes, struct extent found[EXTENTS])
{
	unsigned count = 0;
	for (off_t at = 0, hole; holes && (uint64_t)at < size && count < EXTENTS; at = hole, count++) {
		at = lseek(file, at, SEEK_DATA);
		/* nothing but a hole up to the end */
		if (at < 0 && errno == ENXIO)
			return count;
		hole = at < 0 ? -1 : lseek(file, at, SEEK_HOLE);
		if (hole <= at || (uint64_t)at >= size)
			break;
		uint64_t end = (uint64_t)hole < size && count < EXTENTS - 1 ? (uint64_t)hole : size;
		found[count] = (struct extent){(uint64_t)at, end - (uint64_t)at};
		if (end == size)
			return count + 1;
	}
	if (holes && count > 0)
		return count;
	found[0] = (struct extent){0, size};
	return size > 0 ? 1 : 0;
}

/* As many bytes as were promised: zeros where the file has become shorter meanwhile. */
static int send_data(struct executor *x, int file, uint64_t left)
{
	static const uint8_t zeros[64 * 1024];
	bool over = false;
	while (left > 0) {
		uint32_t bytes = left < DATA_BYTES ? (uint32_t)left : DATA_BYTES, done = 0;
		uint8_t header[8] = {0};
		memcpy(header, &bytes, 4);
		header[4] = REPLY_DATA;
		int r = write_all(x->controller, header, sizeof header);
		while (r == 0 && done < bytes) {
			ssize_t n = over ? 0 : sendfile(x->controller, file, NULL, bytes - done);
			if (n < 0 && errno == EINTR)
				continue;
			/* a frame that was begun is filled, whatever happened to the file */
			over |= n <= 0;
			if (over) {
				uint32_t rest = bytes - done;
				n = rest < sizeof zeros ? (ssize_t)rest : (ssize_t)sizeof zeros;
				r = write_all(x->controller, zeros, (size_t)n);
			}
			done += (uint32_t)n;
		}
		if (r < 0)
			return r;
		left -= bytes;
	}
	return 0;
}

int op_tree_read(struct executor *x, const struct step *s)
{
	const struct bytes *path = &s->v[TREE_READ_PATH].text;
	struct stat st;
	char again[64];
	int place = look(x, &s->v[TREE_READ_ROOT], path, O_PATH), file = -1, error = place < 0 ? -place : 0;
	if (!error && fstat(place, &st) < 0)
		error = errno;
	/* opening a device or a fifo may do harm, or wait for ever */
	if (!error && !S_ISREG(st.st_mode))
		error = EINVAL;
	if (!error) {
		snprintf(again, sizeof again, "/proc/self/fd/%d", place);
		file = open(again, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		error = file < 0 ? errno : fstat(file, &st) < 0 ? errno : 0;
	}
	static struct entry entry;
	fill(&entry, place, error, "");
	/* what is told and what is sent are one: the file may grow between the two */
	uint64_t size = 0;
	memcpy(&size, entry.at + 8 * 4 + 2 * 8, sizeof size);
	int r = entry.full ? fail(x, E2BIG, "attributes of %.200s", path->at)
	                   : send_frame(x->controller, REPLY_ENTRY, entry.at, (uint32_t)entry.length);
	static struct extent extents[EXTENTS];
	unsigned count = r == 0 && !error ? find_extents(file, size, s->v[TREE_READ_HOLES].number, extents) : 0;
	if (r == 0 && !error && s->v[TREE_READ_HOLES].number)
		r = send_frame(x->controller, REPLY_EXTENTS, extents, count * (uint32_t)sizeof *extents);
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = lseek(file, (off_t)extents[i].offset, SEEK_SET) < 0 ? -errno : send_data(x, file, extents[i].bytes);
	if (file >= 0)
		close(file);
	if (place >= 0)
		close(place);
	return r < 0 ? fail(x, -r, "%.200s", path->at) : 0;
}
