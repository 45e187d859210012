/*
 * Paths inside an untrusted root. Every lookup is one openat2 that cannot leave the root and follows
 * no magic link; everything after it works on descriptors, so a swapped path changes nothing
 * (CVE-2021-30465 and its kin).
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "executor.h"

/* openat2 answers EAGAIN when a rename elsewhere races with "..": bounded retries, as the man page asks. */
static int openat2_retry(int dir, const char *path, const struct open_how *how)
{
	for (int tries = 0;; tries++) {
		int fd = sys_openat2(dir, path, how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || tries == 64)
			return fd < 0 ? -errno : fd;
	}
}

int open_in_root(int root, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};
	while (*path == '/')
		path++;
	return openat2_retry(root, *path ? path : ".", &how);
}

/* What the link `name` stands for, which is the last component of `path` and lies in `parent`. 0 or -errno. */
static int link_target(int parent, const char *name, const char *path, char out[PATH_MAX])
{
	char target[PATH_MAX];
	const char *slash = strrchr(path, '/');
	ssize_t length = readlinkat(parent, name, target, sizeof target - 1);
	if (length <= 0)
		return length == 0 || errno == EINVAL ? -ENOTDIR : -errno;
	target[length] = 0;
	size_t before = target[0] == '/' || !slash ? 0 : (size_t)(slash - path) + 1;
	if (before + (size_t)length >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out, path, before);
	strcpy(out + before, target);
	return 0;
}

int open_directory(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int open_below(int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int make_below(int dir, const char *name, unsigned *budget)
{
	if (budget && (*budget)-- == 0)
		return ++*budget, -EMLINK;
	/* somebody else may have made it meanwhile: what it is is seen when it is opened */
	return mkdirat(dir, name, 0755) < 0 && errno != EEXIST ? -errno : open_below(dir, name);
}

static int follow_links(int root, const char *whole, unsigned *budget, int links)
{
	char path[PATH_MAX], target[PATH_MAX];
	int above = -1;
	if (links > 40 || strlen(whole) >= sizeof path)
		return links > 40 ? -ELOOP : -ENAMETOOLONG;
	strcpy(path, whole);
	for (char *at = path;;) {
		at += strspn(at, "/");
		if (!*at)
			return above < 0 ? open_in_root(root, "", O_PATH | O_DIRECTORY, 0) : above;
		char *end = strchrnul(at, '/'), kept = *end;
		*end = 0;
		int parent = above < 0 ? root : above;
		/* one component below a descriptor, so that deep paths take linear time; ".." and links go from the top */
		int next = strcmp(at, "..") == 0 ? -ELOOP : open_below(parent, at);
		if (next == -ENOENT)
			next = make_below(parent, at, budget);
		if (next == -ELOOP || next == -ENOTDIR) {
			next = open_in_root(root, path, O_PATH | O_DIRECTORY, 0);
			if (next == -ENOENT && (next = link_target(parent, at, path, target)) == 0)
				next = follow_links(root, target, budget, links + 1);
		}
		*end = kept;
		if (above >= 0)
			close(above);
		if (next < 0)
			return next;
		above = next;
		at = end;
	}
}

int make_directories(int root, const char *path, unsigned *budget)
{
	return follow_links(root, path, budget, 0);
}

int parent_in_root(int root, const char *path, struct in_root *out)
{
	char prefix[PATH_MAX];
	size_t length = strlen(path);
	while (length > 0 && path[length - 1] == '/')
		length--;
	if (length == 0 || length >= sizeof prefix)
		return length ? -ENAMETOOLONG : -EISDIR;
	memcpy(prefix, path, length);
	prefix[length] = 0;

	char *slash = strrchr(prefix, '/');
	const char *name = slash ? slash + 1 : prefix;
	if (strlen(name) >= sizeof out->name || is_dots(name))
		return strlen(name) >= sizeof out->name ? -ENAMETOOLONG : -EINVAL;
	strcpy(out->name, name);
	if (slash)
		*slash = 0;
	else
		prefix[0] = 0;
	out->parent = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);
	if (out->parent == -ENOENT)
		out->parent = make_directories(root, prefix, NULL);
	return out->parent < 0 ? out->parent : 0;
}

/* Makes an empty file where a link may lead to nothing. */
static int make_file(int root, const char *whole, uint64_t resolve)
{
	char path[PATH_MAX], target[PATH_MAX];
	if (strlen(whole) >= sizeof path)
		return -ENAMETOOLONG;
	strcpy(path, whole);
	for (int links = 0; links <= 40; links++) {
		struct in_root at;
		int r = parent_in_root(root, path, &at);
		if (r < 0)
			return r;
		int file = openat(at.parent, at.name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
		r = file < 0 && errno != EEXIST ? -errno : 0;
		if (file >= 0)
			close(file);
		if (r == 0)
			r = open_in_root(root, path, O_PATH, resolve);
		if (r == -ENOENT && (r = link_target(at.parent, at.name, path, target)) == 0) {
			close(at.parent);
			strcpy(path, target);
			continue;
		}
		close(at.parent);
		return r;
	}
	return -ELOOP;
}

int place_in_root(int root, const char *path, bool directory, uint64_t resolve)
{
	int fd = open_in_root(root, path, O_PATH | (directory ? O_DIRECTORY : 0), resolve);
	if (fd != -ENOENT)
		return fd;
	if (!directory)
		return make_file(root, path, resolve);
	fd = make_directories(root, path, NULL);
	if (fd < 0 || !resolve)
		return fd;
	close(fd);
	return open_in_root(root, path, O_PATH | O_DIRECTORY, resolve);
}

/* One write, since kernel files take a value whole; closes the descriptor. */
static int write_once(int fd, const char *value, size_t bytes)
{
	ssize_t n = write(fd, value, bytes);
	int error = n < 0 ? errno : (size_t)n == bytes ? 0 : EIO;
	close(fd);
	return -error;
}

int write_file_at(int dir, const char *name, const char *value, size_t bytes)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	return write_once(fd, value, bytes);
}

int write_proc_of(pid_t pid, const char *name, const char *value, size_t bytes)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return write_file_at(AT_FDCWD, path, value, bytes);
}

int write_beneath(int dir, const char *path, const char *value, size_t bytes)
{
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	int fd = openat2_retry(dir, path, &how);
	return fd < 0 ? fd : write_once(fd, value, bytes);
}

ssize_t read_whole(int fd, char *buffer, size_t size)
{
	size_t length = 0;
	while (length < size - 1) {
		ssize_t n = read(fd, buffer + length, size - 1 - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	buffer[length] = 0;
	return (ssize_t)length;
}

ssize_t read_file_at(int dir, const char *path, char *buffer, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t length = read_whole(fd, buffer, size);
	close(fd);
	return length;
}

uint64_t stat_field(int dir, const char *path, int number)
{
	char text[1024];
	if (read_file_at(dir, path, text, sizeof text) <= 0)
		return 0;
	/* the name may hold anything, so count fields from its closing parenthesis: state is field 3 */
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < number; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

uint64_t process_stat(pid_t pid, int number)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	return stat_field(AT_FDCWD, path, number);
}

uint64_t process_start_time(pid_t pid)
{
	return process_stat(pid, STAT_START);
}
